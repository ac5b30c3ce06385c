-- Postern for HAProxy 2.6: asks the gate about a request. How to use it: docs/haproxy.md

-- The one value of txn.postern that haproxy.cfg lets through. It is set in a single place, after everything else has gone well: an error
-- in here, a timeout and an answer that nobody expects leave it unset, and haproxy.cfg answers 503.
local ALLOWED = "allowed"

-- What of a visitor's request reaches the gate: these, and no body.
local PASSED_ON = { "accept", "authorization", "cookie", "proxy-authorization", "x-requested-with" }
local IDENTITY = { "remote-user", "remote-groups", "remote-name", "remote-email" }
-- What of a no reaches the visitor. Any other status of the gate means that something is wrong.
local REFUSALS = { [302] = true, [303] = true, [400] = true, [401] = true, [403] = true, [407] = true }
local SHOWN = {
  "cache-control",
  "content-security-policy",
  "content-type",
  "location",
  "proxy-authenticate",
  "www-authenticate",
  "x-content-type-options",
}

-- HAProxy counts the lines of a header from 0, and those that it is given from 1.
local function lines(headers, name)
  local found = {}
  local values = headers[name]
  local i = 0
  while values ~= nil and values[i] ~= nil do
    found[#found + 1] = values[i]
    i = i + 1
  end
  return found
end

-- The only line of a header; more than one is as bad as none.
local function only(headers, name)
  local found = lines(headers, name)
  if #found ~= 1 then
    error("the gate's answer has " .. #found .. " lines of " .. name)
  end
  return found[1]
end

local function ask(txn)
  local request = txn.http:req_get_headers()
  local question = {
    ["x-forwarded-method"] = { txn.sf:method() },
    ["x-forwarded-proto"] = { txn.sf:ssl_fc() == "1" and "https" or "http" },
    ["x-forwarded-host"] = { txn.sf:req_fhdr("host") },
    ["x-forwarded-uri"] = { txn.sf:pathq() },
    ["x-forwarded-for"] = { txn.sf:src() },
  }
  -- Its client would say */* for a request that has no Accept, and a socket would be sent to the portal.
  question["accept"] = { "" }
  for _, name in ipairs(PASSED_ON) do
    local found = lines(request, name)
    if #found > 0 then
      question[name] = found
    end
  end
  -- `listen postern-gate` of haproxy.cfg: names, timeouts and connections that are kept open are HAProxy's.
  return core.httpclient():get({
    url = "http://postern/api/authz/forward-auth",
    dst = "abns@postern-gate",
    headers = question,
    timeout = 8000,
  })
end

core.register_action("postern", { "http-req" }, function(txn)
  local answer = ask(txn)
  local headers = answer.headers or {}

  if answer.status == 200 then
    for _, name in ipairs(IDENTITY) do
      txn.http:req_set_header(name, only(headers, name))
    end
    local assertion = lines(headers, "remote-assertion")
    if #assertion == 1 then
      txn.http:req_set_header("remote-assertion", assertion[1])
    end
    -- All but the session's, which would let the application act as the visitor elsewhere.
    local cookie = only(headers, "cookie")
    txn.http:req_del_header("cookie")
    if cookie ~= "" then
      txn.http:req_set_header("cookie", cookie)
    end
    txn:set_var("txn.postern", ALLOWED)
    return
  end

  if not REFUSALS[answer.status] then
    return
  end
  local reply = txn:reply({ status = answer.status, reason = answer.reason, body = answer.body })
  for _, name in ipairs(SHOWN) do
    for _, value in ipairs(lines(headers, name)) do
      reply:add_header(name, value)
    end
  end
  txn:done(reply)
end, 0)
