// SPDX-License-Identifier: GPL-2.0-only
#include <linux/in.h>
#include <linux/inetdevice.h>
#include <linux/net.h>
#include <linux/sched/signal.h>
#include <linux/tcp.h>
#include <linux/uio.h>
#include <net/inet_common.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "kapi/linux/compat.h"
#include "kapi/linux/port.h"

#define LISTEN_BACKLOG 1024
#define KEEPALIVE_IDLE_S 10
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_PROBES 3
#define SEND_BATCH_IOV 16

struct kapi_sock {
	struct socket *sock;
	bool shut; /* once set, what the socket answers is only the consequence */
};

static int sock_error_of(struct kapi_sock *s, int err)
{
	if (READ_ONCE(s->shut))
		return -ESHUTDOWN;
	return err == -ENOTCONN ? -ECONNRESET : err;
}

static struct kapi_sock *wrap(struct socket *sock)
{
	struct kapi_sock *s = kapi_zalloc(sizeof(*s));

	if (s)
		s->sock = sock;
	return s;
}

/* Never starts write-back for memory, never uses a buffer of the calling task. */
static void tune_memory(struct socket *sock)
{
	sock->sk->sk_allocation = GFP_NOFS;
	lull_sock_own_frag(sock->sk);
}

static void tune_stream(struct socket *sock)
{
	tune_memory(sock);
	tcp_sock_set_nodelay(sock->sk);
	sock_set_keepalive(sock->sk);
	tcp_sock_set_keepidle(sock->sk, KEEPALIVE_IDLE_S);
	tcp_sock_set_keepintvl(sock->sk, KEEPALIVE_INTERVAL_S);
	tcp_sock_set_keepcnt(sock->sk, KEEPALIVE_PROBES);
}

int kapi_sock_listen(struct kapi_net *net, uint16_t port, struct kapi_sock **out)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct socket *sock;
	int err;

	err = sock_create_kern(kapi_to_net(net), AF_INET, SOCK_STREAM, IPPROTO_TCP, &sock);
	if (err)
		return err;
	tune_memory(sock);
	sock_set_reuseaddr(sock->sk);
	err = kernel_bind(sock, (struct sockaddr *)&any, sizeof(any));
	if (!err)
		err = kernel_listen(sock, LISTEN_BACKLOG);
	if (!err) {
		*out = wrap(sock);
		err = *out ? 0 : -ENOMEM;
	}
	if (err)
		sock_release(sock);
	return err;
}

int kapi_sock_create(struct kapi_net *net, struct kapi_sock **out)
{
	struct socket *sock;
	int err;

	err = sock_create_kern(kapi_to_net(net), AF_INET, SOCK_STREAM, IPPROTO_TCP, &sock);
	if (err)
		return err;
	tune_stream(sock);
	*out = wrap(sock);
	if (*out)
		return 0;
	sock_release(sock);
	return -ENOMEM;
}

/*
 * A shutdown that comes first is seen under the lock; one that comes later waits for the lock,
 * which is free as long as the peer has not answered, and ends the attempt.
 */
int kapi_sock_connect(struct kapi_sock *s, uint32_t addr, uint16_t port, uint64_t deadline_ns)
{
	struct sockaddr_in peer = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(addr),
	};
	struct sock *sk = s->sock->sk;
	u64 now = ktime_get_ns();
	int err;

	if (now >= deadline_ns)
		return -ETIMEDOUT;
	lock_sock(sk);
	sk->sk_sndtimeo = deadline_ns == KAPI_FOREVER ?
			  MAX_SCHEDULE_TIMEOUT :
			  (long)nsecs_to_jiffies64(deadline_ns - now) + 1;
	err = READ_ONCE(s->shut) ? -ESHUTDOWN :
	      __inet_stream_connect(s->sock, (struct sockaddr *)&peer, sizeof(peer), 0, 0);
	sk->sk_sndtimeo = MAX_SCHEDULE_TIMEOUT;
	release_sock(sk);
	return err ? sock_error_of(s, err == -EINPROGRESS ? -ETIMEDOUT : err) : 0;
}

int kapi_sock_accept(struct kapi_sock *listener, struct kapi_sock **out, uint32_t *peer_addr)
{
	struct sockaddr_in peer = {};
	struct socket *sock;
	int err;

	err = READ_ONCE(listener->shut) ? -ESHUTDOWN : kernel_accept(listener->sock, &sock, 0);
	if (err)
		return sock_error_of(listener, err);
	tune_stream(sock);
	err = kernel_getpeername(sock, (struct sockaddr *)&peer);
	if (err >= 0) {
		*peer_addr = ntohl(peer.sin_addr.s_addr);
		*out = wrap(sock);
		err = *out ? 0 : -ENOMEM;
	}
	if (err)
		sock_release(sock);
	return err;
}

/*
 * A signal of the calling process must not tear a message apart: kernel threads have none, others
 * put theirs off.
 */
static void block_signals(sigset_t *saved)
{
	sigset_t all;

	if (current->flags & PF_KTHREAD)
		return;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, saved);
}

static void unblock_signals(sigset_t *saved)
{
	if (!(current->flags & PF_KTHREAD))
		sigprocmask(SIG_SETMASK, saved, NULL);
}

static int send_batch(struct kapi_sock *s, const struct kapi_iov *iov, unsigned int count,
		      bool more)
{
	struct msghdr msg = { .msg_flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0) };
	struct kvec vec[SEND_BATCH_IOV];
	size_t left = 0;
	unsigned int i;
	int n;

	for (i = 0; i < count; i++) {
		vec[i].iov_base = iov[i].base;
		vec[i].iov_len = iov[i].bytes;
		left += iov[i].bytes;
	}
	iov_iter_kvec(&msg.msg_iter, ITER_SOURCE, vec, count, left);
	while (msg_data_left(&msg)) {
		n = sock_sendmsg(s->sock, &msg);
		if (n <= 0)
			return sock_error_of(s, n ?: -ECONNRESET);
	}
	return 0;
}

int kapi_sock_send(struct kapi_sock *s, const struct kapi_iov *iov, unsigned int count)
{
	sigset_t saved;
	int err = 0;

	block_signals(&saved);
	while (count && !err) {
		unsigned int n = min_t(unsigned int, count, SEND_BATCH_IOV);

		err = send_batch(s, iov, n, n < count);
		iov += n;
		count -= n;
	}
	unblock_signals(&saved);
	return err;
}

int kapi_sock_recv(struct kapi_sock *s, void *buf, size_t bytes)
{
	struct msghdr msg = { .msg_flags = MSG_WAITALL };
	struct kvec vec = { .iov_base = buf, .iov_len = bytes };
	sigset_t saved;
	int err = 0, n;

	block_signals(&saved);
	iov_iter_kvec(&msg.msg_iter, ITER_DEST, &vec, 1, bytes);
	while (msg_data_left(&msg)) {
		n = sock_recvmsg(s->sock, &msg, MSG_WAITALL);
		if (n <= 0) {
			err = sock_error_of(s, n ?: -ECONNRESET);
			break;
		}
	}
	unblock_signals(&saved);
	return err;
}

uint32_t kapi_sock_local_addr(struct kapi_sock *s)
{
	struct sockaddr_in local = {};

	if (kernel_getsockname(s->sock, (struct sockaddr *)&local) < 0)
		return 0;
	return ntohl(local.sin_addr.s_addr);
}

void kapi_sock_shutdown(struct kapi_sock *s)
{
	WRITE_ONCE(s->shut, true);
	kernel_sock_shutdown(s->sock, SHUT_RDWR);
}

void kapi_sock_close(struct kapi_sock *s)
{
	sock_release(s->sock);
	kapi_free(s);
}

uint32_t kapi_net_default_addr(struct kapi_net *net)
{
	const struct in_ifaddr *ifa;
	struct in_device *in_dev;
	struct net_device *dev;
	uint32_t addr = 0;

	rcu_read_lock();
	for_each_netdev_rcu(kapi_to_net(net), dev) {
		in_dev = __in_dev_get_rcu(dev);
		if (!in_dev || (dev->flags & IFF_LOOPBACK) || !(dev->flags & IFF_UP))
			continue;
		in_dev_for_each_ifa_rcu(ifa, in_dev) {
			addr = ntohl(ifa->ifa_local);
			break;
		}
		if (addr)
			break;
	}
	rcu_read_unlock();
	return addr;
}
