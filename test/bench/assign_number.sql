INSERT INTO numbered.limited (email) VALUES ('member of ' || :client_id);
