-- Whether a part of the table is vouched for and open.
--
-- KEYS 1 the table
local stamp = redis.call('HMGET', KEYS[1], '!process', '!open')
return {'ok', stamp[1] == process() and stamp[2] and 1 or 0}
