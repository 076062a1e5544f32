-- One call of the storm: prints the number, once the server has acknowledged the claim.
SELECT number FROM reservation.claim_next('storm', :'buyer') WHERE status = 'claimed';
