INSERT INTO numbered.counted (email) VALUES ('member of ' || :client_id);
