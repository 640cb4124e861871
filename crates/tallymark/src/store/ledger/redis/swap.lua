-- Changes fields if all of them are as expected. KEYS: a hash. ARGV: field, expected value, new value, …; the empty text
-- stands for a field that is not there. Answers 1 if they were.
local function swap(keys, args)
  local fields, set, gone = {}, {}, {}
  for i = 1, #args, 3 do
    fields[#fields + 1] = args[i]
    if args[i + 2] == '' then
      gone[#gone + 1] = args[i]
    end
    if args[i + 2] ~= args[i + 1] then
      set[#set + 1], set[#set + 2] = args[i], args[i + 2]
    end
  end
  for i, value in ipairs(redis.call('HMGET', keys[1], unpack(fields))) do
    if (value or '') ~= args[3 * i - 1] then
      return 0
    end
  end
  -- All by one command, which cannot be done in part; that the empty ones then go is tidiness.
  if #set > 0 then
    redis.call('HSET', keys[1], unpack(set))
  end
  if #gone > 0 then
    redis.call('HDEL', keys[1], unpack(gone))
  end
  return 1
end
