"""The Lua that runs inside the server: what must happen in one step.

Every script's first argument is the store's clock in milliseconds, or "" to take the server's own TIME. A name's
lease stands under a key of its own; a tenant's ledger is one hash. Big numbers are compared as two halves, since Lua's
strings compare by the server's locale and its numbers have 53 bits.
"""

from dataclasses import dataclass, field
from hashlib import sha1
from typing import Final

_NOW: Final = """
local now = ARGV[1]
if now == '' then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
else
  now = tonumber(now)
end
"""

# The ledger as (epoch, seq, floor, one value per field of ARGV from ``first`` on); made with the random bytes in ``fresh``.
_LEDGER: Final = """
local function ledger(key, fresh, first)
  local read = redis.call('HMGET', key, '@epoch', '@seq', '@floor')
  if not read[1] then
    redis.call('DEL', key)
    redis.call('HSET', key, '@epoch', fresh, '@seq', 0, '@floor', 0)
    read = {fresh, '0', '0'}
  end
  local fields = {}
  for i = first, #ARGV do
    fields[#fields + 1] = redis.call('HGET', key, ARGV[i]) or ''
  end
  return {read[1], read[2], read[3], fields}
end
"""

# Bytes 32 to 40 of a frame are its version number; the mark byte stands before the frame.
_STANDS: Final = """
local function is_newer(blob, version)
  if #blob < 41 or #version < 8 then return false end
  local old_high, old_low = struct.unpack('>I4I4', blob, 34)
  local new_high, new_low = struct.unpack('>I4I4', version, 1)
  return old_high > new_high or (old_high == new_high and old_low > new_low)
end
local function nonce(blob) return string.sub(blob, 58, 81) end
local function put(name, blob, ends)
  if ends == '' then
    redis.call('SET', name, blob)
  elseif tonumber(ends) > now then
    redis.call('SET', name, blob, 'PX', string.format('%.0f', tonumber(ends) - now))
  else
    redis.call('DEL', name)
  end
end
"""

_MUTATE: Final = """
local done, at = {}, 2
local function take() at = at + 1; return ARGV[at - 1] end
local changes = tonumber(take())
for i = 1, changes do
  local name, lease = KEYS[2 * i - 1], KEYS[2 * i]
  local kind, expect = take(), take()
  local old = false
  if expect ~= '' or kind == 'P' then old = redis.call('GET', name) end
  local holds = expect == '' or (expect == 'absent' and not old) or (old and expect ~= 'absent' and nonce(old) == expect)
  if kind == 'D' then
    local was = holds and redis.call('DEL', name) or 0
    if holds then redis.call('DEL', lease) end
    done[i] = was
  elseif kind == 'M' then
    done[i] = redis.call('EXISTS', name)
    if done[i] == 1 then redis.call('SETRANGE', name, 0, string.char(1)) end
  else
    local blob, ends, token, not_after, version = take(), take(), take(), take(), take()
    if not holds or (not_after ~= '' and now > tonumber(not_after)) or (token ~= '' and redis.call('GET', lease) ~= token)
        or (old and is_newer(old, version)) then
      done[i] = 0
    else
      put(name, blob, ends)
      redis.call('DEL', lease)
      done[i] = 1
    end
  end
end
local place = 2 * changes
while at <= #ARGV do
  local kind, fresh, count = take(), take(), tonumber(take())
  place = place + 1
  local key = KEYS[place]
  if kind == 'E' then redis.call('DEL', key) end
  if not redis.call('HGET', key, '@epoch') then redis.call('HSET', key, '@epoch', fresh, '@seq', 0, '@floor', 0) end
  if kind ~= 'E' then
    local seq = redis.call('HINCRBY', key, '@seq', 1)
    for i = 1, count do redis.call('HSET', key, take(), seq) end
  end
end
return {done, now}
"""

_LEASE: Final = """
local blob = redis.call('GET', KEYS[1])
if blob and (ARGV[4] == '' or nonce(blob) ~= ARGV[4]) then return {0, blob, false, now} end
if not redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then return {0, false, false, now} end
if ARGV[5] == '' then return {1, false, false, now} end
return {1, false, ledger(KEYS[3], ARGV[5], 6), now}
"""

_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[2] then return redis.call('DEL', KEYS[1]) end
return 0
"""

# ARGV[2] is the floor: every field that may be dropped stands at or below it. The floor first: who reads in between is told more is gone.
_PRUNE: Final = """
local floor = tonumber(ARGV[2])
if tonumber(redis.call('HGET', KEYS[1], '@floor') or 0) < floor then redis.call('HSET', KEYS[1], '@floor', floor) end
local dropped = 0
for i = 3, #ARGV do
  local value = redis.call('HGET', KEYS[1], ARGV[i])
  if value and tonumber(value) <= floor then dropped = dropped + redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return dropped
"""


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the digest under which the server keeps it."""

    text: bytes
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Work out the digest."""
        object.__setattr__(self, "digest", sha1(self.text, usedforsecurity=False).hexdigest().encode())


def _script(*parts: str) -> Script:
    return Script("".join(parts).encode())


MUTATE: Final = _script(_NOW, _STANDS, _MUTATE)
LEASE: Final = _script(_NOW, _STANDS, _LEDGER, _LEASE)
LEDGER: Final = _script(_NOW, _LEDGER, "return ledger(KEYS[1], ARGV[2], 3)")
RELEASE: Final = _script(_NOW, _RELEASE)
PRUNE: Final = _script(_NOW, _PRUNE)
