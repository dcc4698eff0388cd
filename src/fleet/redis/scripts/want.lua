-- Notes keys whose counters are to be told by SQL.
--
-- KEYS 1 wanted
-- ARGV 1 most keys that may wait, then keys: 2 …
-- Gives {'ok'} or {'full'}.
for at = 2, #ARGV do
  if redis.call('SCARD', KEYS[1]) >= tonumber(ARGV[1]) then return {'full'} end
  redis.call('SADD', KEYS[1], ARGV[at])
end
return {'ok'}
