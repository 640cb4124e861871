-- Makes the store if it is not there, and renews a writer's lease.
-- KEYS: the store. ARGV: this format, shards of a new store, the writer, its lease in microseconds (0: farewell), the
-- rest of its row, the number of the last removal it has heard of.
-- Answers: ok, clock, shards, whether the writer was known, number of the last removal, removals that are new to it.
local function greet(keys, args)
  local store, row = keys[1], 'w|' .. args[3]
  local head = redis.call('HMGET', store, 'format', 'shards', row, 'removals')
  local format, shards, old, last = head[1], head[2] or args[2], head[3], tonumber(head[4] or '0')
  if not format and redis.call('EXISTS', store) == 1 then
    return {'foreign'}
  end
  if format and format ~= args[1] then
    return {'format', format}
  end
  local now = clock()
  local ends = args[4] == '0' and '0' or whole_sum(now, args[4])
  local new = '{"seen":' .. now .. ',"until":' .. ends .. ',' .. args[5]
  redis.call('HSET', store, 'format', args[1], 'shards', shards, row, new)
  local known = old and not string.find(old, '"folded":true', 1, true)
  local answer = {'ok', now, shards, known and '1' or '0', string.format('%.0f', last)}
  local since = tonumber(args[6])
  if since > last then
    since = 0
  end
  local fields = {}
  for number = math.max(since + 1, last - 999), last do
    fields[#fields + 1] = 'r|' .. string.format('%.0f', number)
  end
  if #fields > 0 then
    for _, removal in ipairs(redis.call('HMGET', store, unpack(fields))) do
      answer[#answer + 1] = removal or ''
    end
  end
  return answer
end
