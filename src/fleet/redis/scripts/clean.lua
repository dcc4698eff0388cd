-- Removes what belongs to epochs before this one.
--
-- KEYS 1 epochs
-- ARGV 1 epoch, then what their keys are called besides the epoch: 2 …
-- The keys that are removed are in the slot of the first one.
for _, old in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if tonumber(old) < tonumber(ARGV[1]) then
    for at = 2, #ARGV do redis.call('UNLINK', ARGV[at] .. old) end
    redis.call('SREM', KEYS[1], old)
  end
end
return {'ok'}
