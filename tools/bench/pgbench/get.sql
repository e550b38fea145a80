SELECT * FROM "customers" WHERE ((("customers"."merchant_id" = $1) AND ("customers"."environment" = $2)) AND ("customers"."id" = $3))
