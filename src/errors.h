/*
 * errors.h
 *	  SQLSTATEs of our own, class RS. docs/errors.md explains each.
 */
#ifndef RESERVATION_ERRORS_H
#define RESERVATION_ERRORS_H

#include "utils/elog.h"

#define ERRCODE_RSV_REQUEST_REUSED   MAKE_SQLSTATE('R', 'S', '0', '0', '1')
#define ERRCODE_RSV_UNKNOWN_CLAIM    MAKE_SQLSTATE('R', 'S', '0', '0', '2')
#define ERRCODE_RSV_PROTECTED_VALUE  MAKE_SQLSTATE('R', 'S', '0', '0', '4')
#define ERRCODE_RSV_VERSION_CONFLICT MAKE_SQLSTATE('R', 'S', '0', '0', '5')
#define ERRCODE_RSV_INSUFFICIENT     MAKE_SQLSTATE('R', 'S', '0', '0', '6')

#endif /* RESERVATION_ERRORS_H */
