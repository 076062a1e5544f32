/*
 * shared.c
 *	  Our pieces of shared memory: what rooms ask for while the library is preloaded,
 *	  and get when the server starts.
 *
 * Each session that the server does not fork, and the server after a crash, is told
 * again where the pieces are.
 *
 * Locks: AddinShmemInitLock, while the pieces are made.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "reservation.h"

#define PIECES_MAX 4

static RsvSharedPiece pieces[PIECES_MAX];
static int npieces = 0;
static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

static void request_pieces(void);
static void make_pieces(void);

void
rsv_shared_init(void)
{
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request_pieces;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = make_pieces;
}

/* Asks for a piece of memory. */
void
rsv_shared_add(RsvSharedPiece piece)
{
	Assert(npieces < PIECES_MAX);
	pieces[npieces++] = piece;
}

/* Settings have their values only now, so this is when the sizes are asked. */
static void
request_pieces(void)
{
	if (previous_request_hook)
		previous_request_hook();
	for (int i = 0; i < npieces; i++)
		RequestAddinShmemSpace(pieces[i].size());
}

static void
make_pieces(void)
{
	if (previous_startup_hook)
		previous_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	for (int i = 0; i < npieces; i++)
	{
		bool found;
		void *memory = ShmemInitStruct(pieces[i].name, pieces[i].size(), &found);

		pieces[i].attach(memory, !found);
	}
	LWLockRelease(AddinShmemInitLock);
}
