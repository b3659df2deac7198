// SPDX-License-Identifier: GPL-2.0-only
#include <linux/err.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/utsname.h>
#include <net/netns/generic.h>

#include "kapi/linux/node.h"
#include "kapi/linux/port.h"

#define PROTOCOL_MIN 1
#define PROTOCOL_MAX 2
#define TIMEOUT_MIN_MS 100
#define THREADS_MAX 4096

static uint protocol_max = PROTOCOL_MAX;
module_param(protocol_max, uint, 0444);
MODULE_PARM_DESC(protocol_max, "newest protocol version this node speaks (1..2)");
static uint port = 988;
module_param(port, uint, 0444);
MODULE_PARM_DESC(port, "TCP port that targets listen on");
static uint service_threads_max = 32;
module_param(service_threads_max, uint, 0444);
MODULE_PARM_DESC(service_threads_max, "most threads of one service");
static uint timeout_ms = 10000;
module_param(timeout_ms, uint, 0444);
MODULE_PARM_DESC(timeout_ms, "a peer that has not answered a ping for so long is taken for dead");

struct lull_pernet {
	struct mutex lock; /* making of the node */
	struct lull_node *node;
};

static unsigned int pernet_id;

static int create_node(struct net *net, struct lull_node **out)
{
	struct lull_node_options options = {
		.protocol_max = protocol_max,
		.port = port,
		.service_threads_max = service_threads_max,
		.timeout_ms = timeout_ms,
	};

	strscpy(options.nodename, utsname()->nodename, sizeof(options.nodename));
	return lull_node_create(net_to_kapi(net), &options, out);
}

struct lull_node *lull_node_get(struct net *net)
{
	struct lull_pernet *per_net = net_generic(net, pernet_id);
	struct lull_node *node;
	int err = 0;

	mutex_lock(&per_net->lock);
	if (!per_net->node)
		err = create_node(net, &per_net->node);
	node = per_net->node;
	mutex_unlock(&per_net->lock);
	if (err)
		return ERR_PTR(err);
	get_net(net);
	return node;
}

void lull_node_put(struct net *net)
{
	put_net(net);
}

static int __net_init pernet_init(struct net *net)
{
	struct lull_pernet *per_net = net_generic(net, pernet_id);

	mutex_init(&per_net->lock);
	return 0;
}

static void __net_exit pernet_exit(struct net *net)
{
	struct lull_pernet *per_net = net_generic(net, pernet_id);

	if (per_net->node)
		lull_node_destroy(per_net->node);
	per_net->node = NULL;
}

static struct pernet_operations pernet_ops = {
	.init = pernet_init,
	.exit = pernet_exit,
	.id = &pernet_id,
	.size = sizeof(struct lull_pernet),
};

int lull_nodes_init(void)
{
	if (protocol_max < PROTOCOL_MIN || protocol_max > PROTOCOL_MAX) {
		pr_err("Lull: protocol_max=%u: this software speaks %d to %d\n", protocol_max,
		       PROTOCOL_MIN, PROTOCOL_MAX);
		return -EINVAL;
	}
	if (!port || port > U16_MAX || !service_threads_max || service_threads_max > THREADS_MAX ||
	    timeout_ms < TIMEOUT_MIN_MS) {
		pr_err("Lull: port (1..65535), service_threads_max (1..%d) "
		       "or timeout_ms (at least %d) is out of range\n",
		       THREADS_MAX, TIMEOUT_MIN_MS);
		return -EINVAL;
	}
	/* A device, not a subsystem: its exit runs while the namespace's network still works. */
	return register_pernet_device(&pernet_ops);
}

void lull_nodes_exit(void)
{
	unregister_pernet_device(&pernet_ops);
}
