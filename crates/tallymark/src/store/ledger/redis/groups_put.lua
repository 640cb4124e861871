-- Writes pushed groups, if nothing has changed since the writer looked. May be repeated, with the same mark.
-- KEYS: the groups. ARGV: the epoch ('' for none), the number and the mark of the last change that the writer knows, an
-- epoch for a new hash, a mark for this change, then for each group its key and '' or '=' and its document.
-- Answers: epoch, new number | nothing.
local function groups_put(keys, args)
  local key, known = keys[1], tonumber(args[2])
  local head = redis.call('HMGET', key, 'epoch', 'number')
  local number = known
  local last = string.format('%.0f', known + (#args - 5) / 2)
  local _, mark = groups_change(key, known)
  if (head[1] or '') ~= args[1] or (head[2] or '0') ~= args[2] or known > 0 and mark ~= args[3] then
    local _, first = groups_change(key, known + 1)
    if first == args[5] then
      return {head[1], last}
    end
    return {}
  end
  for place = 6, #args, 2 do
    local group, document = args[place], args[place + 1]
    number = number + 1
    redis.call('HSET', key, 'c|' .. number % 1000, string.format('%.0f ', number) .. args[5] .. ' ' .. group)
    if document == '' then
      redis.call('HDEL', key, 'g|' .. group)
    else
      redis.call('HSET', key, 'g|' .. group, string.sub(document, 2))
    end
  end
  local epoch = head[1] or args[4]
  redis.call('HSET', key, 'epoch', epoch, 'number', last)
  return {epoch, last}
end
