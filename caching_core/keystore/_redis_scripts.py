"""The Lua of the keystore in a server: every look and the change that follows from it are one step.

A name's rows are one hash, key id -> text; the destroyed ids of all names are another, id -> milliseconds; a third holds how
often each name's keys were made from nothing. A row whose id has been destroyed is as if it were not there. The text of a
row: format, place in the order of making, state, and what no script needs to understand.
"""

from typing import Final

FORMAT: Final = "1"

_COMMON: Final = """
local states = {staged = true, primary = true, enabled = true, disabled = true}
local function parse(text)
  local version, place, state, rest = string.match(text, '^(%d+) (%d+) (%l+)( .*)$')
  if version ~= '1' or not states[state] then return nil end
  return place, state, rest
end
local function is_destroyed(destroyed, id) return redis.call('HEXISTS', destroyed, id) == 1 end
local function standing(rows, destroyed)
  local found, all = {}, redis.call('HGETALL', rows)
  for i = 1, #all, 2 do
    if not is_destroyed(destroyed, all[i]) then found[#found + 1] = {all[i], all[i + 1]} end
  end
  return found
end
local function bury(destroyed, id)
  local t = redis.call('TIME')
  redis.call('HSETNX', destroyed, id, string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000)))
end
"""

# KEYS: rows, destroyed. Returns (id, text) of each row that stands.
LOAD: Final = (
    _COMMON
    + """
return standing(KEYS[1], KEYS[2])
"""
)

# KEYS: rows, destroyed, generations. ARGV: id, name, state, rest of the text, then the states in whose place the row would be.
CREATE: Final = (
    _COMMON
    + """
local best, last = {}, 0
for _, row in ipairs(standing(KEYS[1], KEYS[2])) do
  local place, state = parse(row[2])
  if not place then return {'unreadable', row[1], row[2]} end
  place = tonumber(place)
  if place > last then last = place end
  if not best[state] or place > best[state].place then best[state] = {place = place, id = row[1], text = row[2]} end
end
for i = 5, #ARGV do
  local found = best[ARGV[i]]
  if found then return {'stands', found.id, found.text} end
end
if is_destroyed(KEYS[2], ARGV[1]) then return {'destroyed'} end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return {'taken'} end
for _, id in ipairs(redis.call('HKEYS', KEYS[1])) do
  if is_destroyed(KEYS[2], id) then redis.call('HDEL', KEYS[1], id) end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('1 %d %s%s', last + 1, ARGV[3], ARGV[4]))
if last == 0 then redis.call('HINCRBY', KEYS[3], ARGV[2], 1) end
return {'made'}
"""
)

# KEYS: rows, destroyed. ARGV: id, state.
SET_STATE: Final = (
    _COMMON
    + """
local text = redis.call('HGET', KEYS[1], ARGV[1])
if not text or is_destroyed(KEYS[2], ARGV[1]) then return {'absent'} end
local place, _, rest = parse(text)
if not place then return {'unreadable', ARGV[1], text} end
if ARGV[2] == 'primary' then
  for _, row in ipairs(standing(KEYS[1], KEYS[2])) do
    local other, state, tail = parse(row[2])
    if not other then return {'unreadable', row[1], row[2]} end
    if state == 'primary' then redis.call('HSET', KEYS[1], row[1], '1 ' .. other .. ' enabled' .. tail) end
  end
end
redis.call('HSET', KEYS[1], ARGV[1], '1 ' .. place .. ' ' .. ARGV[2] .. rest)
return {'done'}
"""
)

# KEYS: rows, destroyed. ARGV: the ids to destroy, or none for all. Returns those that were there. The tombstone comes first.
DESTROY: Final = (
    _COMMON
    + """
local gone = {}
for _, id in ipairs(#ARGV > 0 and ARGV or redis.call('HKEYS', KEYS[1])) do
  if redis.call('HEXISTS', KEYS[1], id) == 1 then
    bury(KEYS[2], id)
    redis.call('HDEL', KEYS[1], id)
    gone[#gone + 1] = id
  end
end
return gone
"""
)

# KEYS: destroyed. ARGV: ids.
BURY: Final = (
    _COMMON
    + """
for _, id in ipairs(ARGV) do bury(KEYS[1], id) end
return #ARGV
"""
)

# KEYS: destroyed, then the rows of any number of names. Returns for each whether a key stands there.
STANDING: Final = (
    _COMMON
    + """
local found = {}
for i = 2, #KEYS do found[i - 1] = #standing(KEYS[i], KEYS[1]) > 0 and 1 or 0 end
return found
"""
)

# KEYS: as above. Erases the rows whose ids have been destroyed.
SWEEP: Final = (
    _COMMON
    + """
local gone = 0
for i = 2, #KEYS do
  for _, id in ipairs(redis.call('HKEYS', KEYS[i])) do
    if is_destroyed(KEYS[1], id) then gone = gone + redis.call('HDEL', KEYS[i], id) end
  end
end
return gone
"""
)
