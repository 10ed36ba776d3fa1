// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's init: mounts, network, ready.  Nothing else runs, so that nothing
 * else can disturb a measurement.  harness-init, in the root image, mounts the
 * tools disk and becomes this program.
 *
 * It waits for connections to the SSH port itself, and sshd serves each: one
 * program less to start in every boot, and none that listens while a workload
 * runs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOOLS "/opt/harness"
#define SSH_PORT 22

static void say(const char *what, const char *about)
{
	char line[256];
	int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	int length = snprintf(line, sizeof(line), "harness-init: %s%s\n", what, about);

	if (fd >= 0 && write(fd, line, (size_t)length) < 0)
		_exit(1);
	close(fd);
}

static void failed(const char *what)
{
	char text[200];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
	say(text, "");
}

static void mounted(const char *type, const char *place, const char *options)
{
	if (mkdir(place, 0755) < 0 && errno != EEXIST)
		failed(place);
	if (mount(type, place, type, 0, options) < 0)
		failed(place);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		failed(path);
	close(fd);
}

/* There is no udev: name the virtio ports as it would. */
static void name_ports(void)
{
	glob_t found;

	mkdir("/dev/virtio-ports", 0755);
	if (glob("/sys/class/virtio-ports/*/name", 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char device[300], name[100], link[200], *path = found.gl_pathv[i];
		FILE *file = fopen(path, "re");

		if (!file || !fgets(name, sizeof(name), file) || name[0] == '\n') {
			if (file)
				fclose(file);
			continue;
		}
		fclose(file);
		name[strcspn(name, "\n")] = 0;
		*strrchr(path, '/') = 0;
		snprintf(device, sizeof(device), "/dev%s", strrchr(path, '/'));
		snprintf(link, sizeof(link), "/dev/virtio-ports/%s", name);
		if (symlink(device, link) < 0)
			failed(link);
	}
	globfree(&found);
}

static struct sockaddr_in address(const char *text, int port)
{
	struct sockaddr_in made = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	inet_pton(AF_INET, text, &made.sin_addr);
	return made;
}

static void set_up(int fd, const char *interface, const char *own, const char *mask)
{
	struct ifreq request = { 0 };
	struct sockaddr_in made;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	made = address(own, 0);
	memcpy(&request.ifr_addr, &made, sizeof(made));
	if (ioctl(fd, SIOCSIFADDR, &request) < 0)
		failed(interface);
	made = address(mask, 0);
	memcpy(&request.ifr_netmask, &made, sizeof(made));
	if (ioctl(fd, SIOCSIFNETMASK, &request) < 0)
		failed(interface);
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		failed(interface);
}

static void set_up_network(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		failed("network");
		return;
	}
	set_up(fd, "lo", "127.0.0.1", "255.0.0.0");
	set_up(fd, "eth0", "10.0.2.15", "255.255.255.0");
	close(fd);
}

/* sshd wants its key private, and the tools disk is read-only. */
static void copy_private(const char *from, const char *to)
{
	static char text[1 << 16];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ssize_t length = in < 0 ? -1 : read(in, text, sizeof(text));

	if (length < 0 || out < 0 || write(out, text, (size_t)length) != length)
		failed(from);
	close(in);
	close(out);
}

static int listening(void)
{
	struct sockaddr_in own = address("0.0.0.0", SSH_PORT);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
	    bind(fd, (struct sockaddr *)&own, sizeof(own)) < 0 || listen(fd, 16) < 0)
		failed("SSH port");
	return fd;
}

static void serve(int connection, const sigset_t *signals)
{
	pid_t pid = fork();

	if (pid < 0)
		failed("fork");
	if (pid != 0)
		return;
	sigprocmask(SIG_SETMASK, signals, NULL);
	setsid();
	dup2(connection, 0);
	dup2(connection, 1);
	execl("/usr/sbin/sshd", "sshd", "-i", "-f", TOOLS "/ssh/sshd_config", (char *)NULL);
	failed("sshd");
	_exit(1);
}

static void nothing(int signal)
{
	(void)signal;
}

int main(void)
{
	struct sigaction child = { .sa_handler = nothing };
	sigset_t blocked, before;
	int port;

	/*
	 * QEMU keeps translated code by its virtual address: with fixed ones it need not translate
	 * the C library anew for each program, which takes 20 ms.  align undoes it for the workload.
	 */
	personality(ADDR_NO_RANDOMIZE);
	mounted("proc", "/proc", NULL);
	mounted("sysfs", "/sys", NULL);
	mounted("tmpfs", "/run", "mode=755");
	mounted("tmpfs", "/tmp", NULL);
	mounted("devpts", "/dev/pts", NULL);
	mounted("cgroup2", "/sys/fs/cgroup", NULL);
	mounted("debugfs", "/sys/kernel/debug", NULL);
	put("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir("/run/harness", 0755);
	mkdir("/run/sshd", 0755);
	name_ports();
	if (sethostname("guest", 5) < 0)
		failed("hostname");
	set_up_network();
	copy_private(TOOLS "/ssh/host_key", "/run/harness/host_key");
	copy_private(TOOLS "/ssh/authorized_keys", "/run/harness/authorized_keys");
	port = listening();

	/* A child that ends is noticed while a connection is waited for, and only then. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	sigaction(SIGCHLD, &child, NULL);
	say("ready", "");

	/* As init, reap whatever is left behind; never exit, or the kernel panics. */
	for (;;) {
		struct pollfd waited = { .fd = port, .events = POLLIN };

		if (ppoll(&waited, 1, NULL, &before) > 0) {
			int connection = accept4(port, NULL, NULL, SOCK_CLOEXEC);

			if (connection >= 0) {
				serve(connection, &before);
				close(connection);
			}
		}
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
