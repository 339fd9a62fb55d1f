/* A camera without a device file, for programs that are started with LD_PRELOAD. It answers the system calls of V4L2 for one
   path, by the types and numbers of the kernel's own header. Its file descriptor is an eventfd that counts filled buffers, so
   that poll() works without being replaced.

   CAMERA_PATH     the path of the device file
   CAMERA_FORMATS  pixel formats, separated by commas: H264,YUYV
   CAMERA_SIZE     the only size, WIDTHxHEIGHT
   CAMERA_STRIDE   bytes per row; 0 if it is not set
   CAMERA_FRAMES   files with the bytes of the frames, separated by commas; the last one is repeated
   CAMERA_FAULT    busy, denied, no-bandwidth, silent:N or unplugged:N (after N frames), planes, still or refuse-formats */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFERS_MAX 4
#define BUFFER_LEN (1u << 20)

static int camera = -1;
static struct v4l2_pix_format chosen;
static unsigned count, queued[BUFFERS_MAX], waiting, streaming, frames;
static void *memory[BUFFERS_MAX];

static const char *set(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value ? value : otherwise;
}

/* Whether the fault is NAME, or NAME:N and N frames were delivered. */
static int fault(const char *name) {
    const char *is = set("CAMERA_FAULT", "");
    size_t len = strlen(name);
    if (strncmp(is, name, len)) return 0;
    return is[len] == ':' ? frames >= (unsigned)atoi(is + len + 1) : !is[len];
}

static int fail(int number) {
    errno = number;
    return -1;
}

/* Item NUMBER of a list that is separated by commas; the length is 0 behind its end. */
static const char *item(const char *list, unsigned number, size_t *len) {
    for (; number; number--) {
        list += strcspn(list, ",");
        if (*list) list++;
    }
    *len = strcspn(list, ",");
    return list;
}

static uint32_t format_code(unsigned number) {
    size_t len;
    const char *name = item(set("CAMERA_FORMATS", ""), number, &len);
    return len == 4 ? v4l2_fourcc(name[0], name[1], name[2], name[3]) : 0;
}

static int open_camera(void) {
    if (fault("denied")) return fail(EACCES);
    camera = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
    count = waiting = streaming = 0;
    return camera;
}

static void fill_one(void) {
    uint64_t one = 1;
    if (write(camera, &one, sizeof one) != sizeof one) abort();
}

static int set_format(struct v4l2_format *format) {
    uint32_t wanted = format->fmt.pix.pixelformat, code = format_code(0);
    unsigned width = 0, height = 0;
    if (format->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || fault("refuse-formats")) return fail(EINVAL);
    for (unsigned number = 0; format_code(number); number++)
        if (format_code(number) == wanted) code = wanted;
    sscanf(set("CAMERA_SIZE", "0x0"), "%ux%u", &width, &height);
    chosen = (struct v4l2_pix_format){.width = width, .height = height, .pixelformat = code, .field = V4L2_FIELD_NONE,
        .bytesperline = (uint32_t)atoi(set("CAMERA_STRIDE", "0")), .sizeimage = BUFFER_LEN, .colorspace = V4L2_COLORSPACE_SRGB};
    format->fmt.pix = chosen;
    return 0;
}

static int describe(struct v4l2_buffer *buffer) {
    if (buffer->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || buffer->index >= count) return fail(EINVAL);
    buffer->length = BUFFER_LEN;
    buffer->m.offset = buffer->index * BUFFER_LEN;
    return 0;
}

static int enqueue(struct v4l2_buffer *buffer) {
    if (describe(buffer) || buffer->memory != V4L2_MEMORY_MMAP || waiting == BUFFERS_MAX) return fail(EINVAL);
    if (fault("unplugged")) return fail(ENODEV);
    queued[waiting++] = buffer->index;
    if (streaming && !fault("silent")) fill_one();
    return 0;
}

static int start(void) {
    if (!chosen.width || !count || fault("busy")) return fail(chosen.width && count ? EBUSY : EINVAL);
    if (fault("no-bandwidth")) return fail(ENOSPC);
    streaming = 1;
    for (unsigned number = 0; number < waiting && !fault("silent"); number++) fill_one();
    return 0;
}

static int dequeue(struct v4l2_buffer *buffer) {
    uint64_t filled;
    size_t len;
    char name[4096];
    if (fault("unplugged")) return fail(ENODEV);
    if (!streaming || !waiting || buffer->memory != V4L2_MEMORY_MMAP) return fail(EINVAL);
    /* Blocks until a buffer is filled, as a driver does. */
    if (read(camera, &filled, sizeof filled) != sizeof filled) return -1;
    buffer->index = queued[0];
    memmove(queued, queued + 1, --waiting * sizeof *queued);
    const char *list = set("CAMERA_FRAMES", "");
    const char *file = item(list, frames, &len);
    for (unsigned before = frames; !len && before; before--) file = item(list, before - 1, &len);
    snprintf(name, sizeof name, "%.*s", (int)len, file);
    int source = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t used = source < 0 ? -1 : read(source, memory[buffer->index], BUFFER_LEN);
    if (used < 0) return fail(EIO);
    close(source);
    buffer->bytesused = (uint32_t)used;
    buffer->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_DONE;
    buffer->sequence = frames++;
    return describe(buffer);
}

static int answer(unsigned long request, void *argument) {
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *found = argument;
        memset(found, 0, sizeof *found);
        strcpy((char *)found->driver, "virtual");
        strcpy((char *)found->card, "Virtual camera");
        found->device_caps = fault("planes") ? V4L2_CAP_VIDEO_CAPTURE_MPLANE : V4L2_CAP_VIDEO_CAPTURE;
        if (!fault("still")) found->device_caps |= V4L2_CAP_STREAMING;
        found->capabilities = found->device_caps | V4L2_CAP_DEVICE_CAPS;
        return 0;
    }
    case VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *found = argument;
        found->pixelformat = format_code(found->index);
        return found->pixelformat && found->type == V4L2_BUF_TYPE_VIDEO_CAPTURE ? 0 : fail(EINVAL);
    }
    case VIDIOC_S_FMT: return set_format(argument);
    case VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *wanted = argument;
        if (wanted->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || wanted->memory != V4L2_MEMORY_MMAP) return fail(EINVAL);
        if (wanted->count > BUFFERS_MAX) wanted->count = BUFFERS_MAX;
        count = wanted->count;
        return 0;
    }
    case VIDIOC_QUERYBUF: return describe(argument);
    case VIDIOC_QBUF: return enqueue(argument);
    case VIDIOC_DQBUF: return dequeue(argument);
    case VIDIOC_STREAMON: return *(int *)argument == V4L2_BUF_TYPE_VIDEO_CAPTURE ? start() : fail(EINVAL);
    case VIDIOC_STREAMOFF: streaming = waiting = 0; return 0;
    default: return fail(ENOTTY);
    }
}

int ioctl(int fd, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (fd >= 0 && fd == camera) return answer((uint32_t)request, argument);
    int (*next)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    return next(fd, request, argument);
}

static int open_any(const char *symbol, const char *path, int flags, mode_t mode) {
    const char *own = getenv("CAMERA_PATH");
    if (own && !strcmp(path, own)) return open_camera();
    int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, symbol);
    return next(path, flags, mode);
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        return open_any(#name, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

static void *map_any(const char *symbol, void *at, size_t len, int access, int flags, int fd, off_t offset) {
    void *(*next)(void *, size_t, int, int, int, off_t) = dlsym(RTLD_NEXT, symbol);
    if (fd < 0 || fd != camera) return next(at, len, access, flags, fd, offset);
    unsigned index = (unsigned)(offset / BUFFER_LEN);
    if (index >= count || len != BUFFER_LEN || !(flags & MAP_SHARED)) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    return memory[index] = next(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void *mmap(void *at, size_t len, int access, int flags, int fd, off_t offset) {
    return map_any("mmap", at, len, access, flags, fd, offset);
}

void *mmap64(void *at, size_t len, int access, int flags, int fd, off_t offset) {
    return map_any("mmap64", at, len, access, flags, fd, offset);
}

int close(int fd) {
    if (fd >= 0 && fd == camera) camera = -1;
    int (*next)(int) = dlsym(RTLD_NEXT, "close");
    return next(fd);
}
