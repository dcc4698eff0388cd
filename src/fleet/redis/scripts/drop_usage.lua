-- Drops batches of usage that are recorded, and tells their gateways up to which number that is so.
--
-- KEYS 1 usage  2 recorded
-- ARGV 1 how many ids follow, the ids, then for each gateway: its id, its last number that is recorded
local ids = tonumber(ARGV[1])
for at = 2, ids + 1 do redis.call('XDEL', KEYS[1], ARGV[at]) end
for at = ids + 2, #ARGV, 2 do
  local known = redis.call('HGET', KEYS[2], ARGV[at])
  if not known or tonumber(known) < tonumber(ARGV[at + 1]) then
    redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1])
  end
end
return {'ok'}
