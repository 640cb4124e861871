-- Which pushed groups have changed, and what they are now.
-- KEYS: the groups. ARGV: the epoch and the number that the asker knows.
-- Answers: none | all, epoch, number | since, epoch, number, then for each group its key and '' or '=' and its document.
local function groups_since(keys, args)
  local head = redis.call('HMGET', keys[1], 'epoch', 'number')
  local epoch, number, since = head[1], tonumber(head[2] or ''), tonumber(args[2])
  if not epoch or not number then
    return {'none'}
  end
  if epoch ~= args[1] or since > number or number - since > 1000 then
    return {'all', epoch, head[2]}
  end
  local answer, seen = {'since', epoch, head[2]}, {}
  for change = number, since + 1, -1 do
    local at, group = string.match(redis.call('HGET', keys[1], 'c|' .. change % 1000) or '', '^(%d+) (.*)$')
    if tonumber(at) ~= change then
      return {'all', epoch, head[2]}
    end
    if not seen[group] then
      seen[group] = true
      local document = redis.call('HGET', keys[1], 'g|' .. group)
      answer[#answer + 1] = group
      answer[#answer + 1] = document and '=' .. document or ''
    end
  end
  return answer
end
