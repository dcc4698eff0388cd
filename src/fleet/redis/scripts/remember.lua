-- Notes that SQL knows gateways, so that they may serve.
--
-- KEYS 1 remembered
-- ARGV gateway, …
-- Gives {'ok'}.
for _, gateway in ipairs(ARGV) do redis.call('SADD', KEYS[1], gateway) end
return {'ok'}
