-- Which pushed groups have changed, and what they are now.
-- KEYS: the groups. ARGV: the epoch, the number and the mark of the last change that the asker knows.
-- Answers: none | all, epoch, number, mark | since, epoch, number, mark, how many groups there are, then for each that
-- has changed its key and '' or '=' and its document.
local function groups_since(keys, args)
  local head = redis.call('HMGET', keys[1], 'epoch', 'number')
  local epoch, number, since = head[1], tonumber(head[2] or ''), tonumber(args[2])
  if not epoch or not number then
    return {'none'}
  end
  local _, mark = groups_change(keys[1], number)
  local all = {'all', epoch, head[2], mark or ''}
  if epoch ~= args[1] or since > number or number - since > 999 then
    return all
  end
  local there = redis.call('HLEN', keys[1]) - 2 - math.min(number, 1000)
  local answer, seen = {'since', epoch, head[2], mark or '', string.format('%.0f', there)}, {}
  for change = number, since + 1, -1 do
    local group = groups_change(keys[1], change)
    if not group then
      return all
    end
    if not seen[group] then
      seen[group] = true
      local document = redis.call('HGET', keys[1], 'g|' .. group)
      answer[#answer + 1] = group
      answer[#answer + 1] = document and '=' .. document or ''
    end
  end
  -- Another change of that number: a replica took over that had not heard of the one that the asker knows.
  local _, known = groups_change(keys[1], since)
  if since > 0 and known ~= args[3] then
    return all
  end
  return answer
end
