// SPDX-License-Identifier: GPL-2.0-only
#include "utils/control.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "include/lull/user_api.h"

namespace lull::utils {

Answer control(uint32_t command, const std::string& input)
{
    Answer answer;
    if (input.size() > LULL_CTL_IN_MAX) return {E2BIG, "the argument is longer than 4096 bytes"};
    int fd = open(LULL_DEVICE_PATH, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        if (errno == EACCES || errno == EPERM)
            return {errno, "no permission to open " LULL_DEVICE_PATH ": run as root"};
        return {ENODEV, LULL_DEVICE_PATH " does not exist: is the module loaded? (modprobe lull)"};
    }
    answer.text.resize(LULL_CTL_OUT_MAX);
    lull_ctl request{};
    request.command = command;
    request.in = reinterpret_cast<uintptr_t>(input.data());
    request.in_bytes = static_cast<uint32_t>(input.size());
    request.out = reinterpret_cast<uintptr_t>(answer.text.data());
    request.out_bytes = static_cast<uint32_t>(answer.text.size());
    if (ioctl(fd, LULL_IOC_CTL, &request) != 0) answer.error = errno;
    close(fd);
    answer.text.resize(request.out_used <= LULL_CTL_OUT_MAX ? request.out_used : 0);
    if (answer.error && answer.text.empty()) answer.text = strerror(answer.error);
    return answer;
}

}  // namespace lull::utils
