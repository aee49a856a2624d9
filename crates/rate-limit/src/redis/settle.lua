-- Charges one key after a response, whatever it holds, or gives back to it.
--
-- Kind, capacity, nanoseconds from one request to the next (of a window the microseconds of its period), whether it
-- is a refund, and how much.

local kind = kinds[tonumber(ARGV[2])]
local capacity, unit, cost = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6])
local state = kind.read(KEYS[1], unit)

if ARGV[5] == '0' then
  kind.charge(state, cost, capacity, unit)
  kind.write(KEYS[1], state)
elseif state.known then
  -- A key that is not known has nothing to be given back.
  kind.refund(state, cost, capacity, unit)
  kind.write(KEYS[1], state)
end
return 1
