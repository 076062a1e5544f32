-- The lowest free number of the pool, and a record of who holds it until when.
local number = redis.call('ZPOPMIN', KEYS[1])[1]
if not number then
	return 'sold_out'
end
local now = redis.call('TIME')[1]
redis.call('HSET', KEYS[1] .. ':' .. number, 'holder', ARGV[1],
	'claimed_at', now, 'expires_at', now + 600)
return number
