-- Takes over the feed's slot for a term, and begins the organizations of an epoch.
--
-- KEYS 1 head  2 organizations of the epoch  3 feed of the epoch  4 epochs
-- ARGV 1 term  2 epoch  3 which try this is
-- Gives {'ok'} or {'superseded'}.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'term')
if tonumber(head[2] or 0) > tonumber(ARGV[1]) or tonumber(head[1] or 0) >= tonumber(ARGV[2]) then
  return {'superseded'}
end
redis.call('HSET', KEYS[1], 'term', ARGV[1])
-- The same try once more, of which the answer was lost, must not remove what was filled in since.
if redis.call('HGET', KEYS[2], '!try') ~= ARGV[3] then
  redis.call('UNLINK', KEYS[2], KEYS[3])
  redis.call('HSET', KEYS[2], '!try', ARGV[3], '!term', ARGV[1], '!process', process())
  redis.call('SADD', KEYS[4], ARGV[2])
end
return {'ok'}
