-- One buyer, the naive way: look for a free unit, then mark it as sold. Two statements, so between
-- them anyone else can find the same unit.
SELECT coalesce((SELECT id FROM demo.unit WHERE NOT sold ORDER BY random() LIMIT 1), 0) AS unit \gset
\if :unit > 0
UPDATE demo.unit SET sold = true WHERE id = :unit;
INSERT INTO demo.sale (unit) VALUES (:unit);
\endif
