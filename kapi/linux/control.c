// SPDX-License-Identifier: GPL-2.0-only
#include <linux/capability.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nsproxy.h>
#include <linux/uaccess.h>

#include <lull/user_api.h>

#include "kapi/linux/control.h"
#include "kapi/linux/node.h"
#include "kapi/linux/port.h"

static bool may(u32 command)
{
	return (command != LULL_CTL_SET && command != LULL_CTL_PING) || capable(CAP_SYS_ADMIN);
}

static long run_command(struct lull_ctl *ctl, const char *in, char *out)
{
	struct net *net = current->nsproxy->net_ns;
	struct lull_node *node = lull_node_get(net);
	size_t used = ctl->out_bytes;
	long err;

	if (IS_ERR(node))
		return PTR_ERR(node);
	err = lull_node_control(node, ctl->command, in, ctl->in_bytes, out, &used);
	lull_node_put(net);
	ctl->out_used = min_t(size_t, used, ctl->out_bytes);
	return err;
}

static long control(struct lull_ctl *ctl)
{
	/* One more: the core may take the text for a string. */
	char *in = kapi_zalloc(ctl->in_bytes + 1);
	char *out = kapi_zalloc(ctl->out_bytes);
	long err = -ENOMEM;

	if (!in || !out)
		goto done;
	err = -EFAULT;
	if (copy_from_user(in, u64_to_user_ptr(ctl->in), ctl->in_bytes))
		goto done;
	err = run_command(ctl, in, out);
	if (copy_to_user(u64_to_user_ptr(ctl->out), out, ctl->out_used))
		err = -EFAULT;
done:
	kapi_free(in);
	kapi_free(out);
	return err;
}

static long control_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
	struct lull_ctl __user *user = (struct lull_ctl __user *)arg;
	struct lull_ctl ctl;
	long err;

	if (command != LULL_IOC_CTL)
		return -ENOTTY;
	if (copy_from_user(&ctl, user, sizeof(ctl)))
		return -EFAULT;
	ctl.out_used = 0;
	if (ctl.in_bytes > LULL_CTL_IN_MAX || ctl.out_bytes > LULL_CTL_OUT_MAX)
		return -E2BIG;
	if (!may(ctl.command))
		return -EPERM;
	err = control(&ctl);
	if (put_user(ctl.out_used, &user->out_used))
		return -EFAULT;
	return err;
}

static const struct file_operations control_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = control_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice control_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "lull",
	.fops = &control_fops,
	.mode = 0666,
};

int lull_control_init(void)
{
	return misc_register(&control_device);
}

void lull_control_exit(void)
{
	misc_deregister(&control_device);
}
