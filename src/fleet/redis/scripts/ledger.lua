-- Carries out asks of one gateway for slices of accounts. The rules stand in `limits/slices/record.rs`; this is the same in
-- Lua, function by function, and a test holds both against each other. All numbers are whole and within 53 bits.
--
-- KEYS 1 the table of the epoch, for its stamp  2 ledger: when the epoch began here  3 … the account of each ask
-- ARGV 1 epoch  2 … the asks, in the form of `fleet/redis/slice.rs`
-- Gives {'ok', answer, …}, or {'unvouched'}.
local WINDOWS = 5
local APART_MS, FAST_US, WAIT_US_MAX, HOUR_MS = 60000, 10000000, 1000000000000, 3600000

local function numbers(text)
  local list = {}
  for word in text:gmatch('%S+') do list[#list + 1] = tonumber(word) end
  return list
end
local function text(list)
  local words = {}
  -- Adding 0 makes 0 of the -0 that numbers of this kind know.
  for at = 1, #list do words[at] = string.format('%.0f', list[at] + 0) end
  return table.concat(words, ' ')
end
-- Whole division; exact, which a rounded quotient is not.
local function div(a, b) return (a - a % b) / b end
local function div_up(a, b) return div(a + b - 1, b) end
local function bit(truth) return truth and 1 or 0 end

local function read_account(name)
  local account = { name = name, gateways = {}, answers = {}, windows = {}, floors = {}, unrecorded = 0 }
  local flat = redis.call('HGETALL', name)
  for at = 1, #flat, 2 do
    local field, value = flat[at], flat[at + 1]
    local kind, rest = field:sub(1, 1), field:sub(2)
    if kind == 'g' then account.gateways[rest] = numbers(value)
    elseif kind == 'a' then account.answers[rest] = value
    elseif kind == 'q' then account.windows[tonumber(rest)] = numbers(value)
    elseif kind == 'f' then account.floors[tonumber(rest)] = numbers(value)
    elseif kind == 'r' then account.rate = numbers(value)
    elseif kind == 'n' then account.recent = tonumber(value)
    elseif kind == 'u' then account.unrecorded = tonumber(value)
    elseif kind == 'e' then account.epoch = value end
  end
  return account
end

-- A gateway: 1 number  2 at µs  3 lapse ms  4 tokens  5 places, then for each window 6+3w start  7+3w own  8+3w used.
local function nobody()
  local gateway = { 0, 0, 0, 0, 0 }
  for at = 6, 5 + 3 * WINDOWS do gateway[at] = 0 end
  return gateway
end
-- A window: 1 start  2 end  3 total  4 stranded  5 known.
local function strand(account, gateway)
  for w = 0, WINDOWS - 1 do
    local window = account.windows[w]
    if window and window[1] == gateway[6 + 3 * w] then
      window[4] = window[4] + gateway[7 + 3 * w] - gateway[8 + 3 * w]
    end
  end
end

local function forget_silent(account, asking, now)
  for id, gateway in pairs(account.gateways) do
    if id ~= asking and now - gateway[2] > gateway[3] * 1000 then
      strand(account, gateway)
      account.gateways[id] = nil
      redis.call('HDEL', account.name, 'g' .. id, 'a' .. id)
    end
  end
end

local function sum(account, place)
  local total = 0
  for _, gateway in pairs(account.gateways) do total = total + gateway[place] end
  return total
end

local function quota(account, mine, part, ask, lineage)
  local w = part.window
  local window = account.windows[w]
  if not window or part.start >= window[2] then window = { part.start, part.stop, 0, 0, 0 } end
  local start = window[1]
  local own, used = 0, 0
  if mine[6 + 3 * w] == start then own, used = mine[7 + 3 * w], mine[8 + 3 * w] end
  if part.start == start then
    if ask.first then
      own = part.held
      window[3] = window[3] + own
    end
    used = math.max(used, math.min(part.used, own))
    local kept = math.min(own, math.max(part.want, used))
    window[3] = window[3] - (own - kept)
    own = kept
    if part.want > own then
      local floor = account.floors[w]
      if window[5] == 0 and floor and floor[1] == start then
        window[3] = window[3] + floor[2]
        window[5] = 1
      end
      if lineage.complete or start > div(lineage.began, 1000) + APART_MS then window[5] = 1 end
      if window[5] == 1 then
        local more = math.min(part.want - own, math.max(part.limit - window[3], 0))
        own = own + more
        window[3] = window[3] + more
      else
        ask.needs_floor = true
      end
    end
  end
  local idle = 0
  for _, other in pairs(account.gateways) do
    if other[6 + 3 * w] == start then idle = idle + other[7 + 3 * w] - other[8 + 3 * w] end
  end
  mine[6 + 3 * w], mine[7 + 3 * w], mine[8 + 3 * w] = start, own, used
  account.windows[w] = window
  return { window[1], window[2], own, window[3], idle }
end

-- A rate: 1 interval  2 per µs  3 burst  4 level  5 at µs  6 withheld  7 known.
local function full(rate) return rate[1] * rate[3] end
local function left(rate) return div(math.max(rate[4], 0), rate[1]) end
local function fill(rate, passed, out, gateways, silent)
  local all = full(rate)
  local gain = math.min(passed, div(all, rate[2]) + 1) * rate[2]
  if silent > 0 then
    local kept = div(gain, gateways) * (gateways - silent)
    rate[6] = math.min(rate[6] + gain - kept, all)
    gain = kept
  end
  local brim = all - math.min(out, 2 * rate[3]) * rate[1]
  rate[4] = math.max(math.min(rate[4] + gain, brim), -all)
end
local function measured_in(rate, part, out, now, gateways, silent)
  if rate[1] == part.interval and rate[2] == part.per_us and rate[3] == part.burst then return end
  fill(rate, math.max(now - rate[5], 0), out, gateways, silent)
  local missing = math.max(full(rate) - rate[4], 0)
  local requests = math.min(div_up(missing, rate[1]), 2 * part.burst)
  rate[1], rate[2], rate[3] = part.interval, part.per_us, part.burst
  rate[5], rate[6] = math.max(rate[5], now), 0
  rate[4] = math.max(full(rate) - requests * rate[1], -math.min(out, rate[3]) * rate[1])
end

local function draw(account, mine, part, ask, now, lineage)
  local others = sum(account, 4)
  local gateways = math.max(ask.gateways, 1)
  local silent = math.min(ask.silent, gateways - 1)
  local began = math.max(now - lineage.began, 0)
  local rate = account.rate
  if rate then
    measured_in(rate, part, others + mine[4], now, gateways, silent)
  else
    rate = { part.interval, part.per_us, part.burst, 0, now, 0, 0 }
    fill(rate, began, 0, 1, 0)
  end
  local held = ask.first and part.held or math.min(part.held, mine[4])
  local passed = math.max(now - rate[5], 0)
  local after = held < mine[4] and math.min(part.quiet, passed) or 0
  fill(rate, passed - after, others + mine[4], gateways, silent)
  rate[4] = rate[4] + math.min(part.returned, rate[3], math.max(mine[4] - held, 0)) * rate[1]
  mine[4] = held
  fill(rate, after, others + held, gateways, silent)
  rate[5] = math.max(rate[5], now)
  local claimed = math.min(part.refilled, part.burst) * rate[1]
  local covered = math.min(claimed, rate[6])
  rate[6] = rate[6] - covered
  rate[4] = math.max(rate[4] - (claimed - covered), -full(rate))
  if part.want > held then
    local recent = account.recent or (lineage.complete and 0)
    if rate[7] == 0 and recent then
      local missing = math.min(recent + account.unrecorded, rate[3]) + math.min(others + held, rate[3])
      rate[4] = math.max(rate[4], full(rate) - missing * rate[1])
      rate[7] = 1
    end
    local fills = div(full(rate), rate[2])
    if began >= fills then rate[7] = 1 end
    if rate[7] == 1 or fills <= FAST_US then
      local more = math.min(part.want - held, left(rate))
      rate[4] = rate[4] - more * rate[1]
      mine[4] = held + more
    else
      ask.needs_floor = true
    end
  end
  account.rate = rate
  local wait = 0
  if left(rate) == 0 then
    wait = math.min(div_up(math.max(rate[1] - rate[4], 0), rate[2]), WAIT_US_MAX)
    wait = div_up(wait * gateways, gateways - silent)
  end
  return { mine[4], left(rate), wait }
end

local function place(account, mine, part, ask)
  local others = sum(account, 5)
  local own = ask.first and part.held or mine[5]
  local free = math.max(part.limit - (others + own), 0)
  mine[5] = part.want <= own and part.want or own + math.min(free, part.want - own)
  return { mine[5], others + mine[5] }
end

-- See `slice.rs`: gateway, then number epoch first unrecorded lapse gateways silent, then quotas, rate and places, each with
-- how many there are before them.
local function read_ask(argument)
  local gateway, rest = argument:match('^(%S+) (.*)$')
  local list, at = numbers(rest), 0
  local function take() at = at + 1 return list[at] end
  local ask = { gateway = gateway, number = take(), epoch = take(), first = take() == 1, unrecorded = take(),
    lapse = take(), gateways = take(), silent = take(), quotas = {} }
  for _ = 1, take() do
    ask.quotas[#ask.quotas + 1] = { window = take(), start = take(), stop = take(), limit = take(), held = take(),
      used = take(), want = take() }
  end
  if take() == 1 then
    ask.rate = { interval = take(), per_us = take(), burst = take(), held = take(), quiet = take(), refilled = take(),
      returned = take(), want = take() }
  end
  if take() == 1 then ask.places = { limit = take(), held = take(), want = take() } end
  return ask
end

local function keep(account, ask, mine, answer, now)
  local fields = { 'e', account.epoch, 'u', text({ account.unrecorded }), 'g' .. ask.gateway, text(mine),
    'a' .. ask.gateway, answer }
  local until_ms = div(now, 1000)
  for w = 0, WINDOWS - 1 do
    local window = account.windows[w]
    if window then
      fields[#fields + 1] = 'q' .. w
      fields[#fields + 1] = text(window)
      until_ms = math.max(until_ms, window[2])
    end
  end
  if account.rate then
    fields[#fields + 1] = 'r'
    fields[#fields + 1] = text(account.rate)
    until_ms = math.max(until_ms, div(now + div(2 * full(account.rate), account.rate[2]), 1000))
  end
  account.gateways[ask.gateway] = mine
  for _, gateway in pairs(account.gateways) do
    until_ms = math.max(until_ms, div(gateway[2], 1000) + gateway[3])
  end
  redis.call('HSET', account.name, unpack(fields))
  -- By then every window is over, every bucket full and every gateway forgotten.
  redis.call('PEXPIREAT', account.name, string.format('%.0f', until_ms + HOUR_MS))
end

local function carry_out(name, argument, now, lineage)
  local ask = read_ask(argument)
  if ask.epoch ~= lineage.epoch then return text({ 3, lineage.epoch }) end
  local account = read_account(name)
  if account.epoch ~= ARGV[1] then
    redis.call('DEL', name)
    account = read_account(name)
    account.epoch = ARGV[1]
  end
  local mine = account.gateways[ask.gateway]
  if mine and mine[1] == ask.number then return account.answers[ask.gateway] end
  if mine and mine[1] > ask.number then return '2' end
  if not mine and not ask.first then return '1' end
  account.gateways[ask.gateway] = nil
  forget_silent(account, ask.gateway, now)
  mine = mine or nobody()
  if ask.first then
    strand(account, mine)
    mine = nobody()
    account.unrecorded = account.unrecorded + ask.unrecorded
  end
  local answer = { 0, 0, #ask.quotas }
  local function add(list) for _, number in ipairs(list) do answer[#answer + 1] = number end end
  for _, part in ipairs(ask.quotas) do add(quota(account, mine, part, ask, lineage)) end
  add({ bit(ask.rate) })
  if ask.rate then add(draw(account, mine, ask.rate, ask, now, lineage)) end
  add({ bit(ask.places) })
  if ask.places then add(place(account, mine, ask.places, ask)) end
  answer[2] = bit(ask.needs_floor)
  mine[1], mine[2], mine[3] = ask.number, now, ask.lapse
  answer = text(answer)
  keep(account, ask, mine, answer, now)
  return answer
end

local stamp = redis.call('HMGET', KEYS[1], '!process', '!open')
if stamp[1] ~= process() or not stamp[2] then return {'unvouched'} end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local kept = redis.call('HMGET', KEYS[2], 'epoch', 'began', 'complete')
if kept[1] ~= ARGV[1] then
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], 'epoch', ARGV[1], 'began', string.format('%.0f', now))
  kept = { ARGV[1], now, false }
end
local lineage = { epoch = tonumber(ARGV[1]), began = tonumber(kept[2]), complete = kept[3] and true or false }
local answers = {'ok'}
for at = 3, #KEYS do answers[at - 1] = carry_out(KEYS[at], ARGV[at - 1], now, lineage) end
return answers
