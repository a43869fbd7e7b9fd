//go:build native

// Everything that works on vectors of numbers (simd.h).

// v_exp: e^x, within 2 ulp; 0 below -87.33, where the result would be denormal.
// Cephes' expf: x = n·ln 2 + r with ln 2 in two parts, a polynomial in r.
IN vf v_exp(vf x)
{
	vf t = v_min(v_max(x, v_set(-87.33f)), v_set(88.37f));
	vf n = v_round(t * v_set(1.44269504088896341f));
	vf r = v_fma(n, v_set(-0.693359375f), t);
	r = v_fma(n, v_set(2.12194440e-4f), r);
	vf p = v_set(1.9875691500e-4f);
	p = v_fma(p, r, v_set(1.3981999507e-3f));
	p = v_fma(p, r, v_set(8.3334519073e-3f));
	p = v_fma(p, r, v_set(4.1665795894e-2f));
	p = v_fma(p, r, v_set(1.6666665459e-1f));
	p = v_fma(p, r, v_set(5.0000001201e-1f));
	p = v_fma(p, r * r, r) + v_set(1.0f);
	return v_zero_below(v_exp2n(p, n), x, -87.33f);
}

FN void scale(float *x, float f, int32_t n)
{
	for (int32_t i = 0; i < n; i += VL)
		v_store(x + i, v_load(x + i) * v_set(f));
}

FN void scale_each(float *x, const float *f, int32_t n)
{
	for (int32_t i = 0; i < n; i += VL)
		v_store(x + i, v_load(x + i) * v_load(f + i));
}

FN void softmax(float *s, float *o, float *maxima, float *sums, int32_t m, int32_t dim)
{
	// Rows by sixteen, so that what each needs once is computed for all of them at once.
	for (int32_t r0 = 0; r0 < m; r0 += PL_LANES) {
		const int32_t rows = m - r0 < PL_LANES ? m - r0 : PL_LANES;
		_Alignas(64) float top[PL_LANES] = {0}, keep[PL_LANES] = {0};
		for (int32_t r = 0; r < rows; r++) {
			const float *p = s + (size_t)(r0 + r) * PL_PAGE;
			vf t = v_set(maxima[r0 + r]);
			for (int i = 0; i < PL_PAGE; i += VL)
				t = v_max(t, v_load(p + i));
			top[r] = v_top(t);
			keep[r] = maxima[r0 + r] - top[r];
			maxima[r0 + r] = top[r];
		}
		for (int i = 0; i < PL_LANES; i += VL)
			v_store(keep + i, v_exp(v_load(keep + i)));
		for (int32_t r = 0; r < rows; r++) {
			float *p = s + (size_t)(r0 + r) * PL_PAGE;
			const vf t = v_set(top[r]);
			vf sum = v_set(0);
			for (int i = 0; i < PL_PAGE; i += VL) {
				const vf e = v_exp(v_load(p + i) - t);
				v_store(p + i, e);
				sum = sum + e;
			}
			sums[r0 + r] = sums[r0 + r] * keep[r] + v_sum(sum);
			if (keep[r] != 1.0f)
				scale(o + (size_t)(r0 + r) * dim, keep[r], dim);
		}
	}
}

FN void rmsnorm(float *y, const float *x, const float *w, int32_t n, int32_t real, float eps)
{
	vf sum[VB];
	for (int j = 0; j < VB; j++)
		sum[j] = v_set(0);
	for (int32_t i = 0; i < n; i += PL_LANES)
		for (int j = 0; j < VB; j++) {
			vf v = v_load(x + i + j * VL);
			sum[j] = v_fma(v, v, sum[j]);
		}
	// Halves are folded as v_sum does, so that a vector's length changes no number.
	for (int half = VB / 2; half > 0; half /= 2)
		for (int j = 0; j < half; j++)
			sum[j] = sum[j] + sum[j + half];
	const float inv = (float)(1.0 / sqrt((double)v_sum(sum[0]) / real + eps));
	for (int32_t i = 0; i < n; i += VL)
		v_store(y + i, v_load(x + i) * v_set(inv) * v_load(w + i));
}

FN void swiglu(float *y, const float *g, int32_t panels)
{
	for (int32_t p = 0; p < panels; p++)
		for (int l = 0; l < PL_LANES; l += VL) {
			vf v = v_load(g + 32 * p + l), u = v_load(g + 32 * p + PL_LANES + l);
			v_store(y + 16 * p + l, v / (v_set(1.0f) + v_exp(v_set(0) - v)) * u);
		}
}

FN void round_bf16(float *x, uint16_t *h, int32_t n)
{
	for (int32_t i = 0; i < n; i += VL) {
		if (h)
			v_store_bf16(h + i, v_load(x + i));
		else
			v_store(x + i, v_bf16(v_load(x + i)));
	}
}

FN double logsumexp(const float *x, int32_t n)
{
	const int32_t whole = n - n % VL;
	float rest[VL];
	for (int i = 0; i < VL; i++)
		rest[i] = whole + i < n ? x[whole + i] : -INFINITY;
	vf top = v_load(rest);
	for (int32_t i = 0; i < whole; i += VL)
		top = v_max(top, v_load(x + i));
	const float t0 = v_top(top);
	// Stretches of 1024 are summed in f32, the stretches in f64.
	double sum = v_sum(v_exp(v_load(rest) - v_set(t0)));
	for (int32_t i = 0; i < whole;) {
		const int32_t end = whole - i > 1024 ? i + 1024 : whole;
		vf part = v_set(0);
		for (; i < end; i += VL)
			part = part + v_exp(v_load(x + i) - v_set(t0));
		sum += v_sum(part);
	}
	return t0 + log(sum);
}

FN void quantize(int8_t *q, float *scale, int32_t *sum, const float *x, int32_t n)
{
	for (int32_t g = 0; g < n; g += PL_GROUP) {
		const int32_t end = n - g < PL_GROUP ? n : g + PL_GROUP;
		vf top = v_set(0);
		for (int32_t i = g; i < end; i += VL)
			top = v_max(top, v_abs(v_load(x + i)));
		const float most = v_top(top), up = most > 0 ? 127.0f / most : 0;
		vi total = vi_set(0);
		for (int32_t i = g; i < end; i += VL) {
			const vi w = v_nearest(v_load(x + i) * v_set(up));
			v_store_s8(q + i, w);
			total = vi_add(total, w);
		}
		int32_t t[VL];
		vi_store(t, total);
		for (int i = 1; i < VL; i++)
			t[0] += t[i];
		scale[g / PL_GROUP] = most / 127.0f;
		sum[g / PL_GROUP] = t[0];
	}
}
