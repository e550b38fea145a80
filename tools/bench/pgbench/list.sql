SELECT * FROM customers WHERE customers.merchant_id = $1 AND customers.environment = $2 AND customers.deleted_at IS NULL ORDER BY customers.id DESC LIMIT $3
