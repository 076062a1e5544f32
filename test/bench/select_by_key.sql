\set number random(1, 100000)
SELECT * FROM peer.unit WHERE pool = 'keyed' AND number = :number;
