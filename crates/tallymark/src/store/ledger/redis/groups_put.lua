-- Writes pushed groups, if nothing has changed since the writer looked.
-- KEYS: the groups. ARGV: the epoch ('' for none) and the number that the writer knows, an epoch for a new hash, then for
-- each group its key and '' or '=' and its document. Answers: the new number, or ''.
local function groups_put(keys, args)
  local head = redis.call('HMGET', keys[1], 'epoch', 'number')
  if (head[1] or '') ~= args[1] or (head[2] or '0') ~= args[2] then
    return ''
  end
  local number = tonumber(args[2])
  for place = 4, #args, 2 do
    local group, document = args[place], args[place + 1]
    number = number + 1
    redis.call('HSET', keys[1], 'c|' .. number % 1000, string.format('%.0f ', number) .. group)
    if document == '' then
      redis.call('HDEL', keys[1], 'g|' .. group)
    else
      redis.call('HSET', keys[1], 'g|' .. group, string.sub(document, 2))
    end
  end
  local text = string.format('%.0f', number)
  redis.call('HSET', keys[1], 'epoch', head[1] or args[3], 'number', text)
  return text
end
