UPDATE customers SET name = $4, metadata = $5, version = version + 1, updated_at = $6 WHERE merchant_id = $1 AND environment = $2 AND id = $3
