-- Appends changes to the feed, each once and only behind the one before it, and applies what they say of organizations.
--
-- KEYS 1 head  2 organizations of the epoch  3 feed of the epoch
-- ARGV 1 term  2 epoch  3 about how many changes the feed keeps, then for each change: 4 its number  5 its records as JSON
--      6 how many organizations it touches, then for each: id, and the record as JSON or nothing where it is gone
-- Gives {'ok', seq}, {'order', seq}, {'superseded'} or {'unvouched'}.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'term', 'process')
if not head[1] then return {'unvouched'} end
if tonumber(head[3]) > tonumber(ARGV[1]) or head[1] ~= ARGV[2] then return {'superseded'} end
local me = process()
if head[4] ~= me or redis.call('HGET', KEYS[2], '!process') ~= me or redis.call('EXISTS', KEYS[3]) == 0 then
  return {'unvouched'}
end
local last, at, gap = tonumber(head[2]), 4, false
while at <= #ARGV and not gap do
  local seq, touched = tonumber(ARGV[at]), tonumber(ARGV[at + 2])
  if seq == last + 1 then
    for organization = at + 3, at + 2 + 2 * touched, 2 do
      if ARGV[organization + 1] == '' then
        redis.call('HDEL', KEYS[2], ARGV[organization])
      else
        redis.call('HSET', KEYS[2], ARGV[organization], ARGV[organization + 1])
      end
    end
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], ARGV[at] .. '-0', 'r', ARGV[at + 1])
    last = seq
  end
  gap = seq > last
  at = at + 3 + 2 * touched
end
redis.call('HSET', KEYS[1], 'seq', string.format('%.0f', last), 'term', ARGV[1])
return {gap and 'order' or 'ok', string.format('%.0f', last)}
