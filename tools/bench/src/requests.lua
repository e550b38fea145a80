-- The requests that wrk sends, and the result that it prints at the end.
--
-- Arguments after `--`: the operation, the file of customers, the number of the run. The file has a line for each
-- customer: key of the merchant, id, the 26 characters of the id, external id; separated by tabs.

local operation, file, run

-- Each function builds a request for a customer. A write also gets the number of requests so far.
local operations = {
    live = function(customer)
        return wrk.format("GET", "/livez")
    end,
    get = function(customer)
        return wrk.format("GET", "/v1/customers/" .. customer.id)
    end,
    get_not_modified = function(customer)
        return wrk.format("GET", "/v1/customers/" .. customer.id, {
            Authorization = wrk.headers["Authorization"], ["If-None-Match"] = "*"})
    end,
    search = function(customer)
        return wrk.format("GET", "/v1/customers?search=" .. customer.external_id:sub(6, 11))
    end,
    get_by_external_id = function(customer)
        return wrk.format("GET", "/v1/customers/external/" .. customer.external_id)
    end,
    list = function(customer)
        return wrk.format("GET", "/v1/customers")
    end,
    list_deep = function(customer)
        return wrk.format("GET", "/v1/customers?cursor=" .. customer.suffix)
    end,
    list_all = function(customer)
        return wrk.format("GET", "/api/customers")
    end,
}

local function unique(count)
    -- The modulus is prime, so that all results differ. They are in no order.
    return string.format("%08x-%d-%d", count * 1000003 % 4294967291, run, number)
end

local function create(name, count)
    return wrk.format("POST", "/v1/customers", nil, string.format(
        '{"email":"%s@example.com","external_id":"ext_%s","name":"Customer %d","metadata":{"plan":"pro","seats":12}}',
        name, name, count))
end

local writes = {
    create = function(customer, count)
        return create(unique(count), count)
    end,
    create_with_key = function(customer, count)
        local name = unique(count)
        wrk.headers["Idempotency-Key"] = name
        return create("k" .. name, count)
    end,
    create_batch = function(customer, count)
        local items = {}
        for item = 1, 100 do
            local name = "b" .. unique(count * 100 + item)
            items[item] = string.format(
                '{"op":"create","body":{"email":"%s@example.com","external_id":"ext_%s","name":"Customer %d","metadata":{"plan":"pro","seats":12}}}',
                name, name, count)
        end
        return wrk.format("POST", "/v1/customers/batch", nil, '{"items":[' .. table.concat(items, ",") .. "]}")
    end,
    update = function(customer, count)
        return wrk.format("PATCH", "/v1/customers/" .. customer.id, nil, string.format(
            '{"name":"Changed %d-%d","metadata":{"seats":%d}}', run, count, count))
    end,
}

local threads = 0

function setup(thread)
    threads = threads + 1
    thread:set("number", threads)
end

function init(arguments)
    operation, file, run = arguments[1], arguments[2], tonumber(arguments[3])
    math.randomseed(run * 16 + number)
    local all, made = {}, {}
    for line in io.lines(file) do
        local key, id, suffix, external_id = line:match("^(%S+)\t(%S+)\t(%S+)\t(%S+)$")
        all[#all + 1] = {key = key, id = id, suffix = suffix, external_id = external_id}
    end
    local write, read = writes[operation], operations[operation]
    if write then
        wrk.headers["Content-Type"] = "application/json"
        local count = 0
        request = function()
            local customer = all[math.random(#all)]
            wrk.headers["Authorization"] = "Bearer " .. customer.key
            count = count + 1
            return write(customer, count)
        end
    else
        for index, customer in ipairs(all) do
            wrk.headers["Authorization"] = "Bearer " .. customer.key
            made[index] = read(customer)
        end
        request = function()
            return made[math.random(#made)]
        end
    end
end

function done(summary, latency, requests)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    io.write(string.format(
        "RESULT requests=%d seconds=%f failed=%d mean=%f p50=%f p99=%f p999=%f\n",
        summary.requests, summary.duration / 1e6, failed, latency.mean,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
