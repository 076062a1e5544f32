INSERT INTO numbered.open (email) VALUES ('member of ' || :client_id);
