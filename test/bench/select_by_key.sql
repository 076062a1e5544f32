\set number random(1, 10000)
SELECT * FROM peer.unit WHERE pool = 'keyed' AND number = :number;
