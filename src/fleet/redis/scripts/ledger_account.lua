-- The account of a key, as it lies there.
--
-- KEYS 1 the account
-- Gives {'ok', now in µs, field, value, …}.
local time = redis.call('TIME')
local answer = {'ok', string.format('%.0f', time[1] * 1000000 + time[2])}
for _, word in ipairs(redis.call('HGETALL', KEYS[1])) do answer[#answer + 1] = word end
return answer
