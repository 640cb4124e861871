-- The group of a change and its mark, if it is one of the last thousand.
local function groups_change(key, change)
  local text = redis.call('HGET', key, 'c|' .. change % 1000) or ''
  local number, mark, group = string.match(text, '^(%d+) (%S+) (.*)$')
  if tonumber(number) == change then
    return group, mark
  end
end
