-- Decides all limits of one request together: nothing is taken unless each that is not a rehearsal allows.
--
-- Of each key: kind, whether it is a rehearsal, whether refused requests count, cost, capacity, and the nanoseconds
-- from one request to the next (of a window the microseconds of its period). Answers four integers for each.

local WIDTH = 6
local passes = true
local asks = {}

for index, key in ipairs(KEYS) do
  local base = 1 + (index - 1) * WIDTH
  local ask = {
    key = key,
    kind = kinds[tonumber(ARGV[base + 1])],
    rehearsal = ARGV[base + 2] == '1',
    counts_refused = ARGV[base + 3] == '1',
    cost = tonumber(ARGV[base + 4]),
    capacity = tonumber(ARGV[base + 5]),
    unit = tonumber(ARGV[base + 6]),
  }
  ask.state = ask.kind.read(key, ask.unit)
  ask.allowed = ask.cost == 0 or ask.kind.fits(ask.state, ask.cost, ask.capacity, ask.unit)
  passes = passes and (ask.allowed or ask.rehearsal)
  asks[index] = ask
end

local answer = {}
for _, ask in ipairs(asks) do
  if ask.allowed then
    if passes and ask.cost > 0 then
      ask.kind.take(ask.state, ask.cost, ask.capacity, ask.unit)
      ask.kind.write(ask.key, ask.state)
    end
  elseif ask.counts_refused then
    ask.kind.drain(ask.state, ask.cost, ask.capacity, ask.unit)
    ask.kind.write(ask.key, ask.state)
  end
  local a, b, c = ask.kind.level(ask.state)
  answer[#answer + 1] = ask.allowed and 1 or 0
  answer[#answer + 1] = a
  answer[#answer + 1] = b
  answer[#answer + 1] = c
end
return answer
