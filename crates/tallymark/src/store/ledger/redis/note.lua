-- Notes a removal once, for the writers that have not heard of it, and forgets the one a thousand before it.
-- KEYS: the store. ARGV: writer, id, what was removed. Answers the number of the last removal.
local function note(keys, args)
  local store, noted = keys[1], 'd|' .. args[1] .. '|' .. args[2]
  local head = redis.call('HMGET', store, 'format', 'removals', noted)
  local last = tonumber(head[2] or '0')
  if not head[1] or head[3] then
    return string.format('%.0f', last)
  end
  local number = string.format('%.0f', last + 1)
  local forgotten = 'r|' .. string.format('%.0f', last - 999)
  local old = redis.call('HGET', store, forgotten)
  local text = args[1] .. ' ' .. args[2] .. ' ' .. args[3]
  redis.call('HSET', store, 'removals', number, 'r|' .. number, text, noted, number)
  if old then
    local writer, id = string.match(old, '^(%S+) (%S+) ')
    redis.call('HDEL', store, forgotten, 'd|' .. (writer or '') .. '|' .. (id or ''))
  end
  return number
end
