// SPDX-License-Identifier: GPL-2.0-only
#include <linux/in.h>
#include <linux/net.h>
#include <net/sock.h>

#include "tests/kunit/suites.h"

#define PORT 9988
#define CLOSED_PORT 9989
#define LOOPBACK 0x7f000001u
#define BIG_BYTES (3u << 20)
#define PARTS 20

struct pair {
	struct kapi_sock *listener, *client, *server;
};

static struct kapi_net *net(void)
{
	return net_to_kapi(&init_net);
}

static void connect_pair(struct kunit *test, struct pair *p)
{
	u32 peer = 0;

	KUNIT_ASSERT_EQ(test, kapi_sock_listen(net(), PORT, &p->listener), 0);
	KUNIT_ASSERT_EQ(test, kapi_sock_create(net(), &p->client), 0);
	KUNIT_ASSERT_EQ(test, kapi_sock_connect(p->client, LOOPBACK, PORT, after_ms(5000)), 0);
	KUNIT_ASSERT_EQ(test, kapi_sock_accept(p->listener, &p->server, &peer), 0);
	KUNIT_EXPECT_EQ(test, peer, LOOPBACK);
	KUNIT_EXPECT_EQ(test, kapi_sock_local_addr(p->client), LOOPBACK);
}

static void close_pair(struct pair *p)
{
	kapi_sock_close(p->client);
	kapi_sock_close(p->server);
	kapi_sock_shutdown(p->listener);
	kapi_sock_close(p->listener);
}

struct sender {
	struct kapi_sock *s;
	u8 *data;
	int err;
};

static void send_in_parts(void *arg)
{
	struct sender *sender = arg;
	struct kapi_iov iov[PARTS];
	size_t step = BIG_BYTES / PARTS;
	int i;

	for (i = 0; i < PARTS; i++) {
		iov[i].base = sender->data + i * step;
		iov[i].bytes = i + 1 < PARTS ? step : BIG_BYTES - i * step;
	}
	sender->err = kapi_sock_send(sender->s, iov, PARTS);
}

static void big_messages_arrive_whole(struct kunit *test)
{
	struct sender sender = {};
	struct kapi_task *t;
	struct pair p;
	u8 *got;
	u32 i;

	connect_pair(test, &p);
	sender.s = p.client;
	sender.data = kapi_alloc(BIG_BYTES);
	got = kapi_alloc(BIG_BYTES);
	KUNIT_ASSERT_NOT_NULL(test, sender.data);
	KUNIT_ASSERT_NOT_NULL(test, got);
	for (i = 0; i < BIG_BYTES; i++)
		sender.data[i] = i * 2654435761u >> 24;
	KUNIT_ASSERT_EQ(test, kapi_task_start(&t, send_in_parts, &sender, "lull_test"), 0);
	KUNIT_EXPECT_EQ(test, kapi_sock_recv(p.server, got, 7), 0);
	KUNIT_EXPECT_EQ(test, kapi_sock_recv(p.server, got + 7, BIG_BYTES - 7), 0);
	kapi_task_join(t);
	KUNIT_EXPECT_EQ(test, sender.err, 0);
	KUNIT_EXPECT_EQ(test, memcmp(got, sender.data, BIG_BYTES), 0);
	kapi_free(sender.data);
	kapi_free(got);
	close_pair(&p);
}

struct receiver {
	struct kapi_sock *s;
	int err;
	bool done;
};

static void receive_byte(void *arg)
{
	struct receiver *r = arg;
	char byte;

	r->err = kapi_sock_recv(r->s, &byte, 1);
	WRITE_ONCE(r->done, true);
}

/* waits: blocks in a call on r->s */
static void shutdown_wakes(struct kunit *test, void (*waits)(void *), struct receiver *r)
{
	struct kapi_task *t;

	KUNIT_ASSERT_EQ(test, kapi_task_start(&t, waits, r, "lull_test"), 0);
	kapi_sleep_ns(50 * NSEC_PER_MSEC);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(r->done));
	kapi_sock_shutdown(r->s);
	kapi_task_join(t);
	KUNIT_EXPECT_EQ(test, r->err, -ESHUTDOWN);
}

static void shutdown_wakes_a_receiver(struct kunit *test)
{
	struct receiver r = {};
	struct pair p;

	connect_pair(test, &p);
	r.s = p.server;
	shutdown_wakes(test, receive_byte, &r);
	close_pair(&p);
}

static void end_of_stream_is_a_reset(struct kunit *test)
{
	struct kapi_iov iov = { .base = "abc", .bytes = 3 };
	struct pair p;
	char got[4];

	connect_pair(test, &p);
	KUNIT_EXPECT_EQ(test, kapi_sock_send(p.client, &iov, 1), 0);
	kapi_sock_shutdown(p.client);
	KUNIT_EXPECT_EQ(test, kapi_sock_recv(p.server, got, 4), -ECONNRESET);
	KUNIT_EXPECT_EQ(test, kapi_sock_send(p.client, &iov, 1), -ESHUTDOWN);
	close_pair(&p);
}

static void accept_one(void *arg)
{
	struct receiver *r = arg;
	struct kapi_sock *s;
	u32 peer;

	r->err = kapi_sock_accept(r->s, &s, &peer);
	WRITE_ONCE(r->done, true);
}

static void shutdown_wakes_an_acceptor(struct kunit *test)
{
	struct receiver r = {};

	KUNIT_ASSERT_EQ(test, kapi_sock_listen(net(), PORT, &r.s), 0);
	shutdown_wakes(test, accept_one, &r);
	KUNIT_EXPECT_EQ(test, kapi_sock_accept(r.s, NULL, NULL), -ESHUTDOWN);
	kapi_sock_close(r.s);
}

static int dial(u16 port, u64 deadline_ns)
{
	struct kapi_sock *s;
	int err = kapi_sock_create(net(), &s);

	if (err)
		return err;
	err = kapi_sock_connect(s, LOOPBACK, port, deadline_ns);
	kapi_sock_close(s);
	return err;
}

static void connect_says_why(struct kunit *test)
{
	u64 before = kapi_now_ns();

	KUNIT_EXPECT_EQ(test, dial(CLOSED_PORT, after_ms(5000)), -ECONNREFUSED);
	KUNIT_EXPECT_EQ(test, dial(CLOSED_PORT, 1), -ETIMEDOUT);
	KUNIT_EXPECT_LT(test, kapi_now_ns(), before + 2 * (u64)NSEC_PER_SEC);
}

static void connect_one(void *arg)
{
	struct receiver *r = arg;

	r->err = kapi_sock_connect(r->s, LOOPBACK, PORT, after_ms(60000));
	WRITE_ONCE(r->done, true);
}

/* The peer's queue is full with the first connection: it answers no other. */
static void shutdown_ends_a_connect(struct kunit *test)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	u64 before = kapi_now_ns();
	struct receiver r = {};
	struct kapi_sock *first;
	struct socket *deaf;

	KUNIT_ASSERT_EQ(test, sock_create_kern(&init_net, AF_INET, SOCK_STREAM, IPPROTO_TCP, &deaf),
			0);
	sock_set_reuseaddr(deaf->sk);
	KUNIT_ASSERT_EQ(test, kernel_bind(deaf, (struct sockaddr *)&any, sizeof(any)), 0);
	KUNIT_ASSERT_EQ(test, kernel_listen(deaf, 0), 0);
	KUNIT_ASSERT_EQ(test, kapi_sock_create(net(), &first), 0);
	KUNIT_EXPECT_EQ(test, kapi_sock_connect(first, LOOPBACK, PORT, after_ms(5000)), 0);

	KUNIT_ASSERT_EQ(test, kapi_sock_create(net(), &r.s), 0);
	shutdown_wakes(test, connect_one, &r);
	KUNIT_EXPECT_LT(test, kapi_now_ns(), before + 20 * (u64)NSEC_PER_SEC);
	KUNIT_EXPECT_EQ(test, kapi_sock_connect(r.s, LOOPBACK, PORT, after_ms(5000)), -ESHUTDOWN);
	kapi_sock_close(r.s);
	kapi_sock_close(first);
	sock_release(deaf);
}

static void two_cannot_listen(struct kunit *test)
{
	struct kapi_sock *first, *second;

	KUNIT_ASSERT_EQ(test, kapi_sock_listen(net(), PORT, &first), 0);
	KUNIT_EXPECT_EQ(test, kapi_sock_listen(net(), PORT, &second), -EADDRINUSE);
	kapi_sock_close(first);
}

static struct kunit_case socket_cases[] = {
	KUNIT_CASE(big_messages_arrive_whole),
	KUNIT_CASE(shutdown_wakes_a_receiver),
	KUNIT_CASE(end_of_stream_is_a_reset),
	KUNIT_CASE(shutdown_wakes_an_acceptor),
	KUNIT_CASE(connect_says_why),
	KUNIT_CASE(shutdown_ends_a_connect),
	KUNIT_CASE(two_cannot_listen),
	{}
};
struct kunit_suite socket_suite = { .name = "lull_socket", .test_cases = socket_cases };
