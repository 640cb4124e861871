-- Takes a batch, or nothing of it: everything is read and reckoned first, then written by one HSET. That fields of gauges
-- which have no values any more then go is tidiness: an empty text says the same.
-- KEYS: the shard. ARGV: epoch, writer, sequence, 'rebase' or '', then five lists, each with its length before it:
--   families: id, definition
--   numbers: series, created, whole, rest
--   tallies: series, created, how many counts, sum, '<index>=<count> …'
--   gauges: series, created, '' if nothing is said of its values, else '=' and the writer's values
--   notes: <part>|<series>, stamp, text
-- No series is in two of the lists, or twice in one.
-- Answers: applied, old <last sequence>, gap <last sequence, or 0>, epoch.

local function earlier(a, b)
  if a == b then
    return a
  end
  local x, y = tonumber(a) or 0, tonumber(b) or 0
  if x == 0 then
    return b
  end
  return (y ~= 0 and y < x) and b or a
end

-- A number's text is: created, used, whole, rest.
local function add_number(old, now, created, whole, rest)
  local known, old_whole, old_rest = string.match(old, '^(%S+) %d+ (%d+) (%S+)$')
  if not known then
    return created .. ' ' .. now .. ' ' .. whole .. ' ' .. rest
  end
  if whole ~= '0' then
    old_whole = whole_sum(old_whole, whole)
  end
  if rest ~= '0.0' then
    old_rest = float_sum(old_rest, rest)
  end
  return earlier(known, created) .. ' ' .. now .. ' ' .. old_whole .. ' ' .. old_rest
end

-- A tally's text is: created, used, sum, counts with commas between.
local function add_tally(old, now, created, length, sum, changes)
  local known, old_sum, text = string.match(old, '^(%S+) %d+ (%S+) ([%d,]+)$')
  local counts, have = {}, 0
  for count in string.gmatch(text or '', '%d+') do
    have = have + 1
    counts[have] = count
  end
  if have ~= tonumber(length) then
    known, old_sum, counts = created, '0', {}
    for i = 1, tonumber(length) do
      counts[i] = '0'
    end
  end
  for index, count in string.gmatch(changes, '(%d+)=(%d+)') do
    local place = index + 1
    if counts[place] then
      counts[place] = whole_sum(counts[place], count)
    end
  end
  if sum ~= '0.0' then
    old_sum = float_sum(old_sum, sum)
  end
  return earlier(known, created) .. ' ' .. now .. ' ' .. old_sum .. ' ' .. table.concat(counts, ',')
end

-- Whether a note's stamp, of up to 20 digits, comes after another one.
local function is_later(a, b)
  if #a ~= #b then
    return #a > #b
  end
  return a > b
end

-- What is missing on a replica may be on its primary: this changes nothing, but a replica refuses it.
local function missing(shard, answer)
  redis.call('HDEL', shard, '')
  return answer
end

local function apply(keys, args)
  local shard, own, sequence = keys[1], 'w|' .. args[2], tonumber(args[3])
  local head = redis.call('HMGET', shard, 'epoch', own)
  if head[1] ~= args[1] then
    return missing(shard, 'epoch')
  end
  local last = tonumber(string.match(head[2] or '0', '^%d+') or '0')
  if sequence <= last then
    return 'old ' .. string.format('%.0f', last)
  end
  if sequence ~= last + 1 and args[4] ~= 'rebase' then
    return missing(shard, 'gap ' .. string.format('%.0f', last))
  end

  local fields, at = {}, 5
  local function list(kind, width)
    local first = at + 1
    at = first + args[at] * width
    for i = first, at - 1, width do
      fields[#fields + 1] = kind .. args[i]
    end
    return first, at - 1
  end
  local families, families_end = list('f|', 2)
  local numbers, numbers_end = list('s|', 4)
  local tallies, tallies_end = list('s|', 5)
  local gauges, gauges_end = list('s|', 3)
  local notes, notes_end = list('n|', 3)
  local now = clock()
  local written, size, empty = {own, args[3] .. ' ' .. now}, 2, {}
  local function write(field, value)
    written[size + 1], written[size + 2] = field, value
    size = size + 2
  end
  local values, next = {}, 0
  if #fields > 0 then
    values = redis.call('HMGET', shard, unpack(fields))
  end

  for i = families, families_end, 2 do
    next = next + 1
    if not values[next] then
      write(fields[next], args[i + 1])
    end
  end
  for i = numbers, numbers_end, 4 do
    next = next + 1
    write(fields[next], add_number(values[next] or '', now, args[i + 1], args[i + 2], args[i + 3]))
  end
  for i = tallies, tallies_end, 5 do
    next = next + 1
    local old = values[next] or ''
    write(fields[next], add_tally(old, now, args[i + 1], args[i + 2], args[i + 3], args[i + 4]))
  end
  for i = gauges, gauges_end, 3 do
    next = next + 1
    write(fields[next], earlier(string.match(values[next] or '', '^%S+'), args[i + 1]) .. ' ' .. now)
    local field = 'g|' .. args[2] .. '|' .. args[i]
    if args[i + 2] ~= '' then
      write(field, string.sub(args[i + 2], 2))
    end
    if args[i + 2] == '=' then
      empty[#empty + 1] = field
    end
  end
  for i = notes, notes_end, 3 do
    next = next + 1
    if not is_later(string.match(values[next] or '', '^%d+') or '0', args[i + 1]) then
      write(fields[next], args[i + 1] .. ' ' .. args[i + 2])
    end
  end
  redis.call('HSET', shard, unpack(written))
  if #empty > 0 then
    redis.call('HDEL', shard, unpack(empty))
  end
  return 'applied'
end
