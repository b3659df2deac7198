// SPDX-License-Identifier: GPL-2.0-only
/*
 * What g++ calls behind the scenes, by mangled name. The core allocates with make<T>() only: there
 * is no operator new, so a plain "new" does not link. Deleting destructors, which virtual ones
 * bring along, need operator delete to exist.
 */
#include "kapi/linux/port.h"

void _ZdlPv(void *p);
void _ZdlPv(void *p) /* operator delete(void*) */
{
	kapi_free(p);
}

void _ZdlPvm(void *p, size_t bytes);
void _ZdlPvm(void *p, size_t bytes) /* operator delete(void*, size_t) */
{
	kapi_free(p);
}

void _ZdlPvmSt11align_val_t(void *p, size_t bytes, size_t align);
void _ZdlPvmSt11align_val_t(void *p, size_t bytes, size_t align) /* the same, aligned */
{
	kapi_free(p);
}

void __cxa_pure_virtual(void);
void __cxa_pure_virtual(void)
{
	kapi_panic(__FILE__, __LINE__, "pure virtual function called");
}
