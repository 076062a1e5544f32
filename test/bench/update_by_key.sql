\set number random(1, 100000)
UPDATE peer.unit SET version = version + 1 WHERE pool = 'keyed' AND number = :number;
