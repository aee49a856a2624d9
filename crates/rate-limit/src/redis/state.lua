-- What is kept of a key, for both scripts. All numbers are doubles, exact up to 2^53: times are microseconds since
-- 1970, what a bucket lacks is nanoseconds, and neither is ever written by `tostring`, which keeps 14 digits.

-- The time in microseconds. Where it is given, keys do not expire: the server's clock is another one.
local given = ARGV[1] ~= '' and tonumber(ARGV[1])
local now = given
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

-- Keeps `value` until `millis` have passed, when the key holds nothing that a new one would not.
local function keep(key, value, millis)
  if given then
    redis.call('SET', key, value)
  else
    redis.call('SET', key, value, 'PX', string.format('%.0f', math.max(1, math.ceil(millis))))
  end
end

-- A bucket is `<micros> <nanos>`: when it was written, and how long it needed from then to be full. A clock that
-- goes back stands still for it, until it has caught up.
local bucket = {}

function bucket.read(key)
  local at, lacks = string.match(redis.call('GET', key) or '', '^(%d+) (%d+)$')
  if not at then
    return { at = now, lacks = 0 }
  end
  at, lacks = tonumber(at), tonumber(lacks)
  if now > at then
    return { at = now, lacks = math.max(0, lacks - (now - at) * 1000), known = true }
  end
  return { at = at, lacks = lacks, known = true }
end

function bucket.write(key, state)
  if state.lacks <= 0 then
    redis.call('DEL', key)
  else
    keep(key, string.format('%.0f %.0f', state.at, state.lacks), state.lacks / 1000000 + (state.at - now) / 1000)
  end
end

function bucket.fits(state, cost, capacity, interval)
  return cost <= capacity and state.lacks + cost * interval <= capacity * interval
end

function bucket.take(state, cost, _, interval)
  state.lacks = state.lacks + cost * interval
end

function bucket.drain(state, cost, capacity, interval)
  state.lacks = math.max(state.lacks, math.min(state.lacks + cost * interval, capacity * interval))
end

-- In debt by one burst at most, or as much as before under another rate.
function bucket.charge(state, cost, capacity, interval)
  state.lacks = math.max(state.lacks, math.min(state.lacks + cost * interval, 2 * capacity * interval))
end

function bucket.refund(state, cost, _, interval)
  state.lacks = math.max(0, state.lacks - cost * interval)
end

function bucket.level(state)
  return state.lacks, 0, 0
end

-- A window is `<micros> <count> <count>`: its start, what it has counted, and what the one before it had.
local window = {}

function window.read(key, period)
  local start, current, previous = string.match(redis.call('GET', key) or '', '^(%d+) (%d+) (%d+)$')
  if start then
    start, current, previous = tonumber(start), tonumber(current), tonumber(previous)
    local passed = math.floor(math.max(0, now - start) / period)
    if passed == 0 then
      return { start = start, current = current, previous = previous, period = period, known = true }
    elseif passed == 1 then
      return { start = start + period, current = 0, previous = current, period = period, known = true }
    end
  end
  return { start = now - now % period, current = 0, previous = 0, period = period }
end

function window.write(key, state)
  local windows = 2
  if state.current == 0 then
    windows = state.previous == 0 and 0 or 1
  end
  if windows == 0 then
    redis.call('DEL', key)
  else
    local value = string.format('%.0f %.0f %.0f', state.start, state.current, state.previous)
    keep(key, value, (state.start + windows * state.period - now) / 1000)
  end
end

local function elapsed(state)
  return math.max(0, now - state.start)
end

function window.fits(state, cost, capacity, period)
  local room = (capacity - state.current) * period - state.previous * (period - elapsed(state))
  return room >= cost * period
end

function window.take(state, cost)
  state.current = state.current + cost
end

function window.drain(state, cost, capacity)
  state.current = math.max(state.current, math.min(state.current + cost, capacity))
end

function window.charge(state, cost, capacity)
  state.current = math.max(state.current, math.min(state.current + cost, 2 * capacity))
end

function window.refund(state, cost)
  state.current = math.max(0, state.current - cost)
end

function window.level(state)
  return state.current, state.previous, elapsed(state)
end

local kinds = { [0] = bucket, [1] = window }
