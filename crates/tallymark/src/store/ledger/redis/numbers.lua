-- Sums of numbers that are kept as text.

-- Lua counts in floats, exact up to 2^53. Whole numbers of 16 digits and more are added in two parts.
local function whole_sum(a, b)
  if #a < 16 and #b < 16 then
    return string.format('%.0f', tonumber(a) + tonumber(b))
  end
  local low = tonumber(string.sub(a, -15)) + tonumber(string.sub(b, -15))
  local high = (tonumber(string.sub(a, 1, -16)) or 0) + (tonumber(string.sub(b, 1, -16)) or 0)
  if low >= 1e15 then
    low, high = low - 1e15, high + 1
  end
  if high == 0 then
    return string.format('%.0f', low)
  end
  return string.format('%.0f%015.0f', high, low)
end

-- The shorter of two texts that gives the same float again; infinities and NaN are inf and nan.
local function float_text(number)
  local short = string.format('%.15g', number)
  if tonumber(short) == number then
    return short
  end
  return string.format('%.17g', number)
end

-- A sum is a float, or two with a comma between: the nearest float, and what is missing from it (Knuth's two-sum). So no
-- term is lost beside a greater one, and a sum does not fall while its terms do not.
local function float_sum(sum, term)
  local high, low = string.match(sum, '^([^,]+),?(.*)$')
  local a, b = tonumber(high) or 0, tonumber(term)
  local total = a + b
  if total - total ~= 0 then
    return float_text(total)
  end
  local part = total - a
  local rest = (a - (total - part)) + (b - part) + (tonumber(low) or 0)
  local near = total + rest
  rest = rest - (near - total)
  if rest == 0 then
    return float_text(near)
  end
  return float_text(near) .. ',' .. float_text(rest)
end

-- Microseconds since the Unix epoch.
local function clock()
  local time = redis.call('TIME')
  return string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
end
