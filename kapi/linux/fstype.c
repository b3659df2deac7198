// SPDX-License-Identifier: GPL-2.0-only
#include <linux/fs_parser.h>
#include <linux/kmod.h>
#include <linux/ptrace.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <asm/syscall.h>
#include <asm/unistd.h>

#include "kapi/linux/fstype.h"

#define OPTIONS_MAX 4096

/* What the options say, collected until get_tree knows whose they are. */
struct mount_args {
	char *options;
	size_t used;
};

static DEFINE_MUTEX(faces_lock);
static const struct lull_mount_ops *faces[LULL_MOUNT_KINDS];
static const char *const face_modules[LULL_MOUNT_KINDS] = {
	[LULL_MOUNT_CLIENT] = "lull_client",
	[LULL_MOUNT_SERVER] = "lull_server",
};

void lull_register_mount(enum lull_mount_kind kind, const struct lull_mount_ops *ops)
{
	mutex_lock(&faces_lock);
	faces[kind] = ops;
	mutex_unlock(&faces_lock);
}

void lull_unregister_mount(enum lull_mount_kind kind)
{
	lull_register_mount(kind, NULL);
}

bool lull_umount_is_forced(void)
{
	unsigned long args[6];

	/* The last reference may as well be dropped by another call, or by a task of the kernel. */
	if (current->flags & PF_KTHREAD ||
	    syscall_get_nr(current, current_pt_regs()) != __NR_umount2)
		return false;
	syscall_get_arguments(current, current_pt_regs(), args);
	return args[1] & MNT_FORCE;
}

/* The face with a reference to its module, or NULL. */
static const struct lull_mount_ops *find_face(enum lull_mount_kind kind)
{
	const struct lull_mount_ops *ops;

	mutex_lock(&faces_lock);
	ops = faces[kind];
	if (ops && !try_module_get(ops->owner))
		ops = NULL;
	mutex_unlock(&faces_lock);
	return ops;
}

static const struct lull_mount_ops *get_face(enum lull_mount_kind kind)
{
	const struct lull_mount_ops *ops = find_face(kind);

	if (!ops && !request_module("%s", face_modules[kind]))
		ops = find_face(kind);
	return ops;
}

static void free_lull_sb(struct lull_sb *s)
{
	if (!s)
		return;
	module_put(s->ops->owner);
	kfree(s);
}

static int add_option(struct fs_context *fc, const struct fs_parameter *param)
{
	struct mount_args *args = fc->fs_private;
	bool has_value = param->type == fs_value_is_string;
	size_t room = OPTIONS_MAX - args->used;
	int n;

	if (!has_value && param->type != fs_value_is_flag)
		return invalf(fc, "lull: option %s has a value of an unknown kind", param->key);
	n = snprintf(args->options + args->used, room, "%s%s%s%s", args->used ? "," : "",
		     param->key, has_value ? "=" : "", has_value ? param->string : "");
	if (n >= room)
		return invalf(fc, "lull: more than %d bytes of options", OPTIONS_MAX);
	args->used += n;
	return 0;
}

static int parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	if (strcmp(param->key, "source") != 0)
		return add_option(fc, param);
	if (param->type != fs_value_is_string)
		return invalf(fc, "lull: the source is not a text");
	if (fc->source)
		return invalf(fc, "lull: more than one source");
	fc->source = param->string;
	param->string = NULL;
	return 0;
}

static int get_tree(struct fs_context *fc)
{
	struct mount_args *args = fc->fs_private;
	enum lull_mount_kind kind;
	struct lull_sb *s;

	if (!fc->source || !*fc->source)
		return invalf(fc, "lull: nothing to mount: give a device or NID:/fsname");
	kind = fc->source[0] == '/' ? LULL_MOUNT_SERVER : LULL_MOUNT_CLIENT;
	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	s->ops = get_face(kind);
	if (!s->ops) {
		kfree(s);
		errorf(fc, "lull: module %s is not loaded", face_modules[kind]);
		return -ENODEV;
	}
	fc->s_fs_info = s;
	return s->ops->get_tree(fc, fc->source, args->options);
}

static int reconfigure(struct fs_context *fc)
{
	struct mount_args *args = fc->fs_private;
	const struct lull_mount_ops *ops = lull_sb(fc->root->d_sb)->ops;

	return ops->reconfigure ? ops->reconfigure(fc, args->options) : 0;
}

static void free_fc(struct fs_context *fc)
{
	struct mount_args *args = fc->fs_private;

	if (args)
		kfree(args->options);
	kfree(args);
	/* Only if no super block took it. */
	free_lull_sb(fc->s_fs_info);
}

static const struct fs_context_operations context_ops = {
	.free = free_fc,
	.parse_param = parse_param,
	.get_tree = get_tree,
	.reconfigure = reconfigure,
};

static int init_fs_context(struct fs_context *fc)
{
	struct mount_args *args = kzalloc(sizeof(*args), GFP_KERNEL);

	if (!args)
		return -ENOMEM;
	args->options = kzalloc(OPTIONS_MAX, GFP_KERNEL);
	if (!args->options) {
		kfree(args);
		return -ENOMEM;
	}
	fc->fs_private = args;
	fc->ops = &context_ops;
	return 0;
}

static void kill_sb(struct super_block *sb)
{
	struct lull_sb *s = lull_sb(sb);

	s->ops->kill_sb(sb);
	free_lull_sb(s);
}

static struct file_system_type lull_fs_type = {
	.owner = THIS_MODULE,
	.name = "lull",
	.init_fs_context = init_fs_context,
	.kill_sb = kill_sb,
	.fs_flags = FS_RENAME_DOES_D_MOVE,
};
MODULE_ALIAS_FS("lull");

int lull_fstype_init(void)
{
	return register_filesystem(&lull_fs_type);
}

void lull_fstype_exit(void)
{
	unregister_filesystem(&lull_fs_type);
}
