#include "runtime/sandbox.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <vector>

namespace cairn::runtime {

Result<> enter_sandbox() {
  constexpr long kForbidden[] = {__NR_socket,  __NR_socketpair, __NR_connect, __NR_bind,  __NR_listen,           __NR_accept,
                                 __NR_accept4, __NR_execve,     __NR_execveat, __NR_ptrace, __NR_process_vm_readv, __NR_process_vm_writev};
  constexpr auto kCount = static_cast<uint8_t>(std::size(kForbidden));
  std::vector<sock_filter> filter{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),  // another ABI numbers its calls otherwise
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
  };
  for (uint8_t i = 0; i < kCount; i++)
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(kForbidden[i]), static_cast<uint8_t>(kCount - i), 0));
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    return Error{Code::io, "the kernel refuses a seccomp filter", "run the worker on a kernel with CONFIG_SECCOMP_FILTER"};
  return {};
}

}  // namespace cairn::runtime
