INSERT INTO numbered.sequence (email) VALUES ('member of ' || :client_id);
