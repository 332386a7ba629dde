-- Uploads SIZE bytes under a new name each time, as the holder of KEY.
local body = string.rep("0123456789abcdef", tonumber(os.getenv("SIZE")) / 16)
local thread = 0
function setup(t) t:set("id", thread); thread = thread + 1 end
local n = 0
local headers = {
  ["Authorization"] = "Bearer " .. os.getenv("KEY"), ["apikey"] = os.getenv("KEY"),
  ["Content-Type"] = "application/octet-stream",
}
local run = tostring(os.time()) .. "-" .. tostring(body):len()
function request()
  n = n + 1
  return wrk.format("POST", wrk.path .. "/object/bench/up/" .. run .. "/" .. id .. "-" .. n, headers, body)
end
