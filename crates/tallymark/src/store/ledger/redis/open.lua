-- Gives a shard its epoch if it has none. KEYS: the shard. ARGV: an epoch. Answers the epoch that it has.
local function open(keys, args)
  local epoch = redis.call('HGET', keys[1], 'epoch')
  if epoch then
    return epoch
  end
  if redis.call('EXISTS', keys[1]) == 1 then
    return 'foreign'
  end
  redis.call('HSET', keys[1], 'epoch', args[1])
  return args[1]
end
