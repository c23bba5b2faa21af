/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client that makes a file shorter takes pages away that are mapped here: touching them raises
 * SIGBUS. The handler puts zeroed memory over the whole map and says so in maps->faulted; the
 * server drops the client when it is polled next. A SIGBUS anywhere else goes to who had it before.
 *
 * The handler walks the tables of all servers, whichever thread they belong to: changes to a table
 * happen under a lock that the handler takes, too. Nobody touches a client's memory while holding
 * it, so the handler never waits for its own thread.
 */
#ifndef PLX_VFU_SIGBUS_H
#define PLX_VFU_SIGBUS_H

struct vfu_maps;

void plx_vfu_sigbus_join(struct vfu_maps *maps);  /* installs the handler */
void plx_vfu_sigbus_leave(struct vfu_maps *maps); /* the last one takes it away */
void plx_vfu_sigbus_lock(void);
void plx_vfu_sigbus_unlock(void);

#endif
